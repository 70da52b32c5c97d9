/** Requests that parsers are known to read in different ways, each alone on its connection. */
const host = "Host: web\r\n";
const heads = [
  "Content-Length: 5\r\n",
  "Content-Length: 05\r\n",
  "Content-Length: 5, 5\r\n",
  "Content-Length: +5\r\n",
  "Content-Length: 5\r\nContent-Length: 0\r\n",
  "Content-Length: 0\r\nContent-Length: 5\r\n",
  "Content-Length\r\n: 5\r\n",
  "Content-Length : 5\r\n",
  "Content_Length: 5\r\n",
  "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
  "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Transfer-Encoding: CHUNKED\r\n",
  "Transfer-Encoding:chunked\r\n",
  "Transfer-Encoding:\tchunked\t\r\n",
  "Transfer-Encoding: \x0bchunked\r\n",
  "Transfer-Encoding: chunked;q=1\r\n",
  "Transfer-Encoding: chunked, identity\r\n",
  "Transfer-Encoding: identity, chunked\r\n",
  "Transfer-Encoding: xchunked\r\n",
  "Transfer-Encoding : chunked\r\n",
  "Transfer_Encoding: chunked\r\n",
  "X: y\nTransfer-Encoding: chunked\r\n",
  "X: y\rTransfer-Encoding: chunked\r\n",
  "X: y\r\n Transfer-Encoding: chunked\r\n",
  "Transfer-Encoding:\r\n chunked\r\n",
  "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n",
  "Connection: Content-Length\r\nContent-Length: 5\r\n",
  "Connection: upgrade\r\nUpgrade: websocket\r\n",
  "Connection: upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAA\r\n",
  "Expect: 100-continue\r\nContent-Length: 5\r\n",
  "",
] as const;
const bodies = [
  "",
  "0\r\n\r\n",
  "hello",
  "5\r\nhello\r\n0\r\n\r\n",
  "5;x=y\r\nhello\r\n0\r\nT: 1\r\n\r\n",
  "5;\r\nhello\r\n0\r\n\r\n",
  "5 \r\nhello\r\n0\r\n\r\n",
  "0x5\r\nhello\r\n0\r\n\r\n",
  "5\nhello\r\n0\r\n\r\n",
  "5\r\nhello0\r\n\r\n",
  "000000000000000000005\r\nhello\r\n0\r\n\r\n",
  "0\r\n\n",
] as const;

export const smuggled = `GET /smuggled HTTP/1.1\r\n${host}\r\n`;

/** Each with something behind it that must be a request of its own or nothing. */
export const corpus: readonly string[] = ["GET", "POST"].flatMap((method) =>
  heads.flatMap((head) =>
    bodies.map((body) => `${method} / HTTP/1.1\r\n${host}${head}\r\n${body}${smuggled}`),
  ),
);
