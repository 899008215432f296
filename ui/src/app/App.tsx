// The frame around every page.
import { Component, type ReactNode, useEffect, useState } from "react";
import { Redirect, Route, Switch } from "wouter";
import { Empty, Problem, Wait } from "../parts/state";
import { load, loaded } from "./load";
import { pages } from "./pages";
import { Shell } from "./Shell";

export function App() {
  return (
    <Shell>
      <Switch>
        <Route path="/">
          <Redirect to={`/query${location.search}`} replace />
        </Route>
        {pages.map((page) => (
          <Route path={`/${page.path}`} key={page.path}>
            <Titled title={page.title}>
              <Guard key={page.path}>
                <Fetched path={page.path} />
              </Guard>
            </Titled>
          </Route>
        ))}
        <Route>
          <Empty title="There is no such page">
            <p>
              Pages are listed on the left; <kbd>Ctrl</kbd> <kbd>K</kbd> finds them by name.
            </p>
          </Empty>
        </Route>
      </Switch>
    </Shell>
  );
}

/** A page as soon as its file is here. */
function Fetched({ path }: { path: string }) {
  const [View, setView] = useState(() => loaded(path));
  const [fault, setFault] = useState<unknown>();
  useEffect(() => {
    if (!View) load(path).then(() => setView(() => loaded(path)), setFault);
  }, [path, View]);
  if (fault !== undefined) throw fault;
  return View ? <View /> : <Wait height={420} />;
}

function Titled({ title, children }: { title: string; children: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · Weir`;
  }, [title]);
  return children;
}

/** A page that breaks does not take the others with it. */
class Guard extends Component<{ children: ReactNode }, { error?: unknown }> {
  override state: { error?: unknown } = {};

  static getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override render() {
    return this.state.error === undefined ? (
      this.props.children
    ) : (
      <Problem error={this.state.error} what="This page ran into a fault of its own." retry={() => this.setState({ error: undefined })} />
    );
  }
}
