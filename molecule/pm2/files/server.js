// Answers with what only the running process knows: its release, its pid, its environment. A path makes it misbehave.
const fs = require("fs");
const http = require("http");

const shared = `/opt/${process.env.USER}/shared`;
const has = (name) => fs.existsSync(`${shared}/${name}`);
if (has("down")) process.exit(5);

const release = fs.readFileSync("RELEASE", "utf8").trim();  // read at start, from the working directory
const secret = has(".env") ? fs.readFileSync(`${shared}/.env`, "utf8").trim() : "";
const eaten = [];

const server = http.createServer((request, response) => {
  if (request.url === "/crash") process.exit(3);
  if (request.url === "/stray") process.chdir("/tmp");
  if (request.url === "/eat") eaten.push(Buffer.alloc(300 << 20, 1));
  if (request.url === "/health" && has("ill")) response.statusCode = 503;
  response.setHeader("Content-Type", "application/json");
  response.setHeader("Connection", "close");
  response.end(JSON.stringify({
    release, pid: process.pid, cwd: process.cwd(), uid: process.getuid(), node: process.version,
    greeting: process.env.GREETING, args: process.argv.slice(2), secret_bytes: secret.length,
  }));
});

const options = process.argv.slice(2);
process.on("SIGINT", () => { if (!options.includes("--stubborn")) server.close(() => process.exit(0)); });
server.listen(Number(process.env.PORT), () => { if (process.send && !options.includes("--mute")) process.send("ready"); });
