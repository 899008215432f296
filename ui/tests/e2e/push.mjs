// Remote write 1.0 by hand: enough of protobuf and snappy to send series that no exporter would.

function varint(number, into) {
  let rest = BigInt.asUintN(64, BigInt(number));
  while (rest > 127n) {
    into.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  into.push(Number(rest));
}

function field(number, bytes, into) {
  varint((number << 3) | 2, into);
  varint(bytes.length, into);
  for (const byte of bytes) into.push(byte);
}

const utf8 = new TextEncoder();

function double(number, value, into) {
  const bytes = new DataView(new ArrayBuffer(8));
  bytes.setFloat64(0, value, true);
  into.push((number << 3) | 1);
  for (let index = 0; index < 8; index++) into.push(bytes.getUint8(index));
}

function instant(number, millis, into) {
  into.push(number << 3);
  varint(Math.round(millis), into);
}

function labelled(labels, into) {
  for (const [name, value] of Object.entries(labels).sort(([left], [right]) => (left < right ? -1 : 1))) {
    const label = [];
    field(1, utf8.encode(name), label);
    field(2, utf8.encode(value), label);
    field(1, label, into);
  }
}

/** A `TimeSeries`: labels as an object, samples as [milliseconds, value], exemplars as [milliseconds, value, labels]. */
function series({ labels, samples, exemplars = [] }) {
  const out = [];
  labelled(labels, out);
  for (const [at, value] of samples) {
    const sample = [];
    double(1, value, sample);
    instant(2, at, sample);
    field(2, sample, out);
  }
  for (const [at, value, labels] of exemplars) {
    const exemplar = [];
    labelled(labels, exemplar);
    double(2, value, exemplar);
    instant(3, at, exemplar);
    field(3, exemplar, out);
  }
  return out;
}

/** Snappy that compresses nothing: literals only. */
function snappy(bytes) {
  const out = [];
  varint(bytes.length, out);
  const chunks = [Uint8Array.from(out)];
  for (let at = 0; at < bytes.length; at += 65_536) {
    const piece = bytes.subarray(at, at + 65_536);
    chunks.push(Uint8Array.from([61 << 2, (piece.length - 1) & 255, (piece.length - 1) >> 8]), piece);
  }
  return Buffer.concat(chunks);
}

/** Sends series to a Weir, `batch` of them a request. */
export async function push(url, all, batch = 500) {
  for (let at = 0; at < all.length; at += batch) {
    const body = [];
    for (const one of all.slice(at, at + batch)) field(1, series(one), body);
    const answer = await fetch(`${url}/api/v1/write`, {
      method: "POST",
      headers: { "Content-Encoding": "snappy", "Content-Type": "application/x-protobuf", "X-Prometheus-Remote-Write-Version": "0.1.0" },
      body: snappy(Uint8Array.from(body)),
    });
    if (!answer.ok) throw new Error(`write: ${answer.status} ${await answer.text()}`);
  }
}
