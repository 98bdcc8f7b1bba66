// GET /add?a=5&b=3 by Node's own http server.
const http = require("node:http");

const server = http.createServer((request, response) => {
  const url = new URL(request.url, "http://localhost");
  const sum = Number(url.searchParams.get("a")) + Number(url.searchParams.get("b"));
  response.setHeader("Content-Type", "text/plain");
  response.end(`${sum}\n`);
});

server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => {
  console.log(`listening on http://127.0.0.1:${server.address().port} (add)`);
});
