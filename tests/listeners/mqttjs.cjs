// Connects with MQTT.js to each URL and gets back what it publishes. Arguments: the folder of certificates, then URLs.
const fs = require("fs");
const mqtt = require("mqtt");

const [dir, ...urls] = process.argv.slice(2);
const file = (name) => fs.readFileSync(`${dir}/${name}`);

async function check(url, index) {
  // With a certificate, MQTT.js would speak TLS to a ws: URL, too.
  const tls = { ca: file("ca.pem"), cert: file("client.pem"), key: file("client.key") };
  const options = { clientId: `js-${index}`, protocolVersion: 5 };
  const client = await mqtt.connectAsync(url, url.startsWith("ws:") ? options : { ...options, ...tls });
  await client.subscribeAsync(`js/${index}`, { qos: 1 });
  const sizes = [1, 200, 70_000, 300_000];
  const received = new Promise((resolve) => {
    const lengths = [];
    client.on("message", (_, payload) => {
      lengths.push(payload.length);
      if (lengths.length === sizes.length) resolve(lengths);
    });
  });
  for (const size of sizes) await client.publishAsync(`js/${index}`, Buffer.alloc(size, 7), { qos: 1 });
  const lengths = await received;
  if (lengths.join() !== sizes.join()) throw new Error(`${url}: ${lengths}`);
  await client.endAsync();
}

(async () => {
  for (const [index, url] of urls.entries()) await check(url, index);
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
