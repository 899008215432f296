//! A scene as PNG: curves are drawn smooth, letters come ready-made, since there may be no font on the machine.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster};
use tiny_skia::{Color, FillRule, LineJoin, Paint, PathBuilder, Pixmap, PremultipliedColorU8, Rect, Stroke, Transform};

use super::scene::{Anchor, Colour, LETTER, Scene, Shape};

/// The picture as a file.
///
/// # Errors
/// Where it cannot be encoded.
pub(super) fn write(scene: &Scene) -> Result<Vec<u8>, String> {
    let mut pixels = Pixmap::new(scene.width as u32, scene.height as u32).ok_or("the picture has no size")?;
    for shape in &scene.shapes {
        match shape {
            Shape::Box { x, y, width, height, fill } => {
                if let Some(rect) = Rect::from_xywh(*x as f32, *y as f32, *width as f32, *height as f32) {
                    pixels.fill_rect(rect, &paint(*fill), Transform::identity(), None);
                }
            }
            Shape::Line { points, stroke, width } => {
                let stroke_with = Stroke { width: *width as f32, line_join: LineJoin::Round, ..Stroke::default() };
                // A line along pixels covers one row of them, not half of two.
                let shift = if points.len() == 2 && *width == 1.0 { 0.5 } else { 0.0 };
                let snapped: Vec<_> = points.iter().map(|(x, y)| snap(*x, *y, shift)).collect();
                if let Some(path) = path(&snapped, false) {
                    pixels.stroke_path(&path, &paint(*stroke), &stroke_with, Transform::identity(), None);
                }
            }
            Shape::Area { points, fill } => {
                let points: Vec<_> = points.iter().map(|(x, y)| (*x as f32, *y as f32)).collect();
                if let Some(path) = path(&points, true) {
                    pixels.fill_path(&path, &paint(*fill), FillRule::Winding, Transform::identity(), None);
                }
            }
            Shape::Text { x, y, text, fill, anchor, bold } => {
                let width = text.chars().count() as f64 * LETTER;
                let left = match anchor {
                    Anchor::Start => *x,
                    Anchor::Middle => x - width / 2.0,
                    Anchor::End => x - width,
                };
                letters(&mut pixels, left.round() as i64, y.round() as i64 - 8, text, *fill);
                // The ready-made font has one weight; once more, a pixel aside, is bold enough for a title.
                if *bold {
                    letters(&mut pixels, left.round() as i64 + 1, y.round() as i64 - 8, text, *fill);
                }
            }
        }
    }
    pixels.encode_png().map_err(|error| format!("encode the picture: {error}"))
}

fn snap(x: f64, y: f64, shift: f32) -> (f32, f32) {
    match shift > 0.0 {
        true => (x.floor() as f32 + shift, y.floor() as f32 + shift),
        false => (x as f32, y as f32),
    }
}

fn paint(Colour(red, green, blue, cover): Colour) -> Paint<'static> {
    let mut paint = Paint { anti_alias: true, ..Paint::default() };
    paint.set_color(Color::from_rgba8(red, green, blue, (cover * 255.0) as u8));
    paint
}

fn path(points: &[(f32, f32)], closed: bool) -> Option<tiny_skia::Path> {
    let mut builder = PathBuilder::new();
    let (first, rest) = points.split_first()?;
    builder.move_to(first.0, first.1);
    rest.iter().for_each(|(x, y)| builder.line_to(*x, *y));
    if closed {
        builder.close();
    }
    builder.finish()
}

/// Draws letters from left to right; one that the font lacks is a question mark.
fn letters(pixels: &mut Pixmap, left: i64, top: i64, text: &str, Colour(red, green, blue, _): Colour) {
    let (width, height) = (i64::from(pixels.width()), i64::from(pixels.height()));
    let raster = |letter| get_raster(letter, FontWeight::Regular, RasterHeight::Size16);
    for (place, letter) in text.chars().enumerate() {
        let Some(glyph) = raster(if letter == '…' { '~' } else { letter }).or_else(|| raster('?')) else { continue };
        let left = left + place as i64 * LETTER as i64;
        for (row, line) in glyph.rows().enumerate() {
            for (column, cover) in line.iter().enumerate() {
                let (x, y) = (left + column as i64, top + row as i64);
                if *cover == 0 || !(0..width).contains(&x) || !(0..height).contains(&y) {
                    continue;
                }
                let pixel = &mut pixels.pixels_mut()[(y * width + x) as usize];
                let mix = |old: u8, new: u8| {
                    let cover = u16::from(*cover);
                    ((u16::from(old) * (255 - cover) + u16::from(new) * cover) / 255) as u8
                };
                // The paper under every letter is opaque, so the mixture is.
                let mixed = (mix(pixel.red(), red), mix(pixel.green(), green), mix(pixel.blue(), blue));
                if let Some(mixed) = PremultipliedColorU8::from_rgba(mixed.0, mixed.1, mixed.2, 255) {
                    *pixel = mixed;
                }
            }
        }
    }
}
