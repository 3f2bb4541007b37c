import { Component, type ReactNode } from "react";
import { Trouble } from "./basics";

/** A part that breaks says so, and takes nothing else with it. */
export class Failsafe extends Component<{ children: ReactNode }, { error: unknown }> {
  override state = { error: null as unknown };

  static getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override render() {
    if (this.state.error !== null)
      return <Trouble error={this.state.error} again={() => this.setState({ error: null })} />;
    return this.props.children;
  }
}
