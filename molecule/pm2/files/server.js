// Answers with what only the running process knows: its release, its pid, its environment.
const fs = require("fs");
const http = require("http");

const release = fs.readFileSync("RELEASE", "utf8").trim();  // read at start, from the working directory
const secret = fs.readFileSync("/opt/demo/shared/.env", "utf8").trim();

http.createServer((request, response) => {
  if (request.url === "/crash") process.exit(3);
  if (request.url === "/health" && fs.existsSync("/opt/demo/shared/ill")) response.statusCode = 503;
  response.setHeader("Content-Type", "application/json");
  response.end(JSON.stringify({
    release, pid: process.pid, cwd: process.cwd(), uid: process.getuid(), node: process.version,
    greeting: process.env.GREETING, args: process.argv.slice(2), secret_bytes: secret.length,
  }));
}).listen(3000, () => { if (process.send) process.send("ready"); });
