// Prints every event of a task, and `closed` when there is nothing left to follow: module, URL.
const [module_, url] = process.argv.slice(2);
const loaded = require(module_);
const EventSource = loaded.EventSource ?? loaded;
const source = new EventSource(url);
for (const name of ["response", "progress"]) {
  source.addEventListener(name, (event) => console.log(`${event.lastEventId} ${event.data}`));
}
source.addEventListener("error", () => {
  if (source.readyState === EventSource.CLOSED) console.log("closed");
});
