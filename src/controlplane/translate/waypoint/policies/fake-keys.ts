/**
 * A key set that no token fits: the private half of its key was thrown away when it was made.
 * It stands where keys could not be fetched, so that tokens are refused and not let through unseen.
 */
export const FAKE_KEYS = JSON.stringify({
  keys: [
    {
      kty: "RSA",
      e: "AQAB",
      n: "0ZDzeOcWY6Y521_4XU9MBKEk0n0vjUJQXIybrtxa5FAJ-qeDsea7CNavNiK-qux3bfXkCj8dQsncktAygei7dG47X-Kyh5d2ZEMZGh-PaTBoFxQVSnnv6C1SxONUuYS9AodOVvB2cXmOZDFi1phAyrFYSFkAoxhMV5NXPJeVCnsy-YQ8KmxHoPIaASi7sraPy2tNJ-R7AT19hYPGjvnNdPF3oHqL6eJ61YSVrQy-F56PhhsB4liC20lDzZuULGeQ8og6WIhRnxoZIPbkll7R1rF4d0uzsqyNSbcewJm67p_R0td2THYI8EYRvKyoBmnABSxS31YOb7p7n5f_K_NF9w",
    },
  ],
});
