// Colours that people with any colour vision tell apart (after Okabe and Ito), and dashes once they run out.
const LIGHT = ["#0072b2", "#d55e00", "#00835f", "#b3488c", "#b07900", "#3a87c7", "#6f4aa0", "#7d5a2a"];
const DARK = ["#56b0ec", "#f58a45", "#2fc598", "#e592c3", "#f0ba3c", "#8fd3f7", "#b79ce0", "#cbab66"];
const DASHES: (number[] | undefined)[] = [undefined, [7, 4], [2, 3], [10, 3, 2, 3]];

export function stroke(index: number, dark: boolean): { colour: string; dash: number[] | undefined } {
  const colours = dark ? DARK : LIGHT;
  return { colour: colours[index % colours.length] as string, dash: DASHES[Math.floor(index / colours.length) % DASHES.length] };
}

/** Replicas by place in their group's list of names. */
export const laneColour = (index: number) => `var(--lane-${(index % 3) + 1})`;
