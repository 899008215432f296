// The first page's code is fetched beside the frame's, not after it; both are drawn at once.
import { load } from "./app/load";

const page = location.pathname.slice(location.pathname.lastIndexOf("/ui/") + 4) || "query";
void Promise.all([import("./main"), load(page).catch(() => undefined)]).then(([{ start }]) => start());
