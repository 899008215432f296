// Mantine in Weir's colours; our own style sheets read the same tokens.
import { createTheme, type MantineColorsTuple } from "@mantine/core";

const weir: MantineColorsTuple = ["#e2f1f4", "#c5e3e9", "#9fd0da", "#6fb8c6", "#4aa6b7", "#2b94a8", "#178499", "#0a6579", "#085566", "#053f4d"];

export const theme = createTheme({
  primaryColor: "weir",
  primaryShade: { light: 7, dark: 4 },
  colors: { weir },
  fontFamily: "var(--sans)",
  fontFamilyMonospace: "var(--mono)",
  defaultRadius: 7,
  cursorType: "pointer",
  respectReducedMotion: true,
});
