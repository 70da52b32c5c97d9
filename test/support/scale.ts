/** How much a test may take: AMBIT_SCALE=full asks for the figures that are promised, anything else for a share of them. */
export const isFullScale = process.env["AMBIT_SCALE"] === "full";
