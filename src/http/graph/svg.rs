//! A scene as SVG.

use std::fmt::Write;

use super::scene::{Anchor, Colour, Scene, Shape};

/// The picture as text.
pub(super) fn write(scene: &Scene) -> String {
    let mut svg = String::new();
    let mut put = |text: std::fmt::Arguments<'_>| svg.write_fmt(text).expect("a String takes every write");
    let Scene { width, height, title, shapes } = scene;
    put(format_args!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\" font-family=\"system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif\" font-size=\"12\">"
    ));
    put(format_args!("<title>{}</title>", Escaped(if title.is_empty() { "graph" } else { title })));
    for shape in shapes {
        match shape {
            Shape::Box { x, y, width, height, fill } => put(format_args!(
                "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" {}/>",
                Short(*x),
                Short(*y),
                Short(*width),
                Short(*height),
                Paint("fill", *fill)
            )),
            Shape::Line { points, stroke, width } => put(format_args!(
                "<polyline points=\"{}\" fill=\"none\" {} stroke-width=\"{width}\" stroke-linejoin=\"round\"/>",
                Points(points),
                Paint("stroke", *stroke)
            )),
            Shape::Area { points, fill } => {
                put(format_args!("<polygon points=\"{}\" {}/>", Points(points), Paint("fill", *fill)));
            }
            Shape::Text { x, y, text, fill, anchor, bold } => {
                let anchor = match anchor {
                    Anchor::Start => "start",
                    Anchor::Middle => "middle",
                    Anchor::End => "end",
                };
                let weight = if *bold { " font-weight=\"600\" font-size=\"14\"" } else { "" };
                put(format_args!(
                    "<text x=\"{}\" y=\"{}\" text-anchor=\"{anchor}\" dominant-baseline=\"central\" {}{weight}>{}</text>",
                    Short(*x),
                    Short(*y),
                    Paint("fill", *fill),
                    Escaped(text)
                ));
            }
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// A length to a tenth of a pixel.
struct Short(f64);

impl std::fmt::Display for Short {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}", (self.0 * 10.0).round() / 10.0)
    }
}

struct Points<'a>(&'a [(f64, f64)]);

impl std::fmt::Display for Points<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (x, y)) in self.0.iter().enumerate() {
            write!(out, "{}{},{}", if index > 0 { " " } else { "" }, Short(*x), Short(*y))?;
        }
        Ok(())
    }
}

/// An attribute with a colour, and one with how much it covers.
struct Paint(&'static str, Colour);

impl std::fmt::Display for Paint {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Paint(name, Colour(red, green, blue, cover)) = self;
        write!(out, "{name}=\"#{red:02x}{green:02x}{blue:02x}\"")?;
        if *cover < 1.0 { write!(out, " {name}-opacity=\"{cover}\"") } else { Ok(()) }
    }
}

/// A text inside XML. Control characters, which XML cannot hold, become a mark.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '<' => out.write_str("&lt;")?,
                '>' => out.write_str("&gt;")?,
                '&' => out.write_str("&amp;")?,
                '"' => out.write_str("&quot;")?,
                '\u{fffe}' | '\u{ffff}' => out.write_char('\u{fffd}')?,
                letter if letter.is_control() => out.write_char('\u{fffd}')?,
                letter => out.write_char(letter)?,
            }
        }
        Ok(())
    }
}
