// Requests to the server, relative to the page's address: it may be anywhere below a proxy.

export class Refused extends Error {}

async function checked(response) {
  if (response.ok) return response;
  const type = response.headers.get("content-type") || "";
  if (type.includes("json")) throw new Refused((await response.json()).error);
  if (response.status === 401) throw new Refused("This page's key is no longer valid: open the address that the program shows.");
  throw new Refused(`The server answered ${response.status}: its terminal may say why.`);
}

async function request(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("The server does not answer: is the program still running?");
  }
}

export const get = async (path) => (await checked(await request(path))).json();
export const blobOf = async (path) => (await checked(await request(path))).blob();

export async function post(path, data, signal) {
  const options = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(data), signal };
  return checked(await request(path, options));
}

export const picture = async (view, signal) => (await post("api/picture.png", view, signal)).blob();

// A piece of long work: calls `report` with its progress until it ends, and returns how it ended.
export class Job {
  static async start(path, options) {
    const response = await checked(await request(path, { method: "POST", ...options }));
    return new Job((await response.json()).job);
  }

  constructor(id) {
    this.path = `api/jobs/${id}`;
  }

  async ended(report) {
    for (;;) {
      const progress = await get(this.path);
      report(progress);
      if (!["waiting", "running"].includes(progress.state)) return progress;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }

  stop() {
    return request(this.path, { method: "DELETE" });
  }
}

export function download(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}
