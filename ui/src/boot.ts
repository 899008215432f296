// The first page's code is fetched beside the frame's, not after it.
const page = location.pathname.slice(location.pathname.lastIndexOf("/ui/") + 4);
if (page === "" || page === "query") void import("./query/QueryPage");
void import("./main");
