// Writes as a Node.js app does whose output PM2 has put into a file.
setInterval(() => console.log("line"), 50);
