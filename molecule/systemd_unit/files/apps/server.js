// HTTPS on 443 as an ordinary user, with a key that its group may read.
const fs = require("fs");
const https = require("https");
const os = require("os");

const tls = process.env.TLS;
const release = fs.readFileSync("RELEASE", "utf8").trim();
const options = { key: fs.readFileSync(`${tls}/key.pem`), cert: fs.readFileSync(`${tls}/cert.pem`) };

https.createServer(options, (request, response) => {
  response.setHeader("Connection", "close");
  response.end(JSON.stringify({
    release, pid: process.pid, uid: process.getuid(), secret_bytes: (process.env.NEXT_PRIVATE || "").length,
    interfaces: Object.keys(os.networkInterfaces()).length,
  }));
}).listen(443);
