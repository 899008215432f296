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

/** A `TimeSeries`: labels as an object, samples as [milliseconds, value]. */
function series({ labels, samples }) {
  const out = [];
  for (const [name, value] of Object.entries(labels).sort(([left], [right]) => (left < right ? -1 : 1))) {
    const label = [];
    field(1, utf8.encode(name), label);
    field(2, utf8.encode(value), label);
    field(1, label, out);
  }
  const double = new DataView(new ArrayBuffer(8));
  for (const [at, value] of samples) {
    const sample = [9];
    double.setFloat64(0, value, true);
    for (let index = 0; index < 8; index++) sample.push(double.getUint8(index));
    sample.push(16);
    varint(Math.round(at), sample);
    field(2, sample, out);
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
