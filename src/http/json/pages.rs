//! A body that is written while it is read: the client's pace sets ours, and one page is all that is held.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame};

use super::Json;

/// A page leaves once it holds this many bytes.
pub const PAGE_BYTES: usize = 64 * 1024;

/// Where JSON is written that leaves page by page.
pub trait Sheets {
    /// Why there may be no next page.
    type Stop;

    /// The page under way. Whoever writes to it calls [`turn_page`](Self::turn_page) between small pieces.
    fn page(&mut self) -> &mut Json;

    /// Turns the page if it is full.
    ///
    /// # Errors
    /// Where nobody reads on.
    fn turn_page(&mut self) -> Result<(), Self::Stop>;
}

/// Writes JSON piece by piece.
pub trait Pieces: Send + Unpin + 'static {
    /// Writes the next small piece (well below a page); `false` when nothing is left.
    fn write_next(&mut self, into: &mut Json) -> bool;
}

/// A body out of pieces. What fits on one page leaves whole, with its length; everything else leaves page by page.
pub fn body(mut pieces: impl Pieces) -> Body {
    let (first, more) = page(&mut pieces);
    match more {
        false => Body::from(first),
        true => Body::new(Pages { waiting: Some(first), pieces: Some(pieces) }),
    }
}

/// Fills a page, and says whether there may be another.
fn page(pieces: &mut impl Pieces) -> (Bytes, bool) {
    let mut json = Json::default();
    while pieces.write_next(&mut json) {
        if json.len() >= PAGE_BYTES {
            return (json.into_bytes().into(), true);
        }
    }
    (json.into_bytes().into(), false)
}

struct Pages<P> {
    waiting: Option<Bytes>,
    /// `None` once everything is written.
    pieces: Option<P>,
}

impl<P: Pieces> HttpBody for Pages<P> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(first) = self.waiting.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let Some(pieces) = self.pieces.as_mut() else { return Poll::Ready(None) };
        let (bytes, more) = page(pieces);
        if !more {
            self.pieces = None;
        }
        // The last piece may have filled the page before exactly.
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.waiting.is_none() && self.pieces.is_none()
    }
}

/// An array that is the `data` of a successful answer, item by item.
pub struct ListAnswer<T> {
    items: std::vec::IntoIter<T>,
    write: fn(&mut Json, &T),
    warnings: Vec<String>,
    written: usize,
    stage: Stage,
}

#[derive(PartialEq)]
enum Stage {
    Head,
    Items,
    Done,
}

impl<T> ListAnswer<T> {
    /// `{"status":"success","data":[...],"warnings":[...]}`
    pub fn new(items: Vec<T>, write: fn(&mut Json, &T), warnings: Vec<String>) -> Self {
        ListAnswer { items: items.into_iter(), write, warnings, written: 0, stage: Stage::Head }
    }
}

impl<T: Send + Unpin + 'static> Pieces for ListAnswer<T> {
    fn write_next(&mut self, json: &mut Json) -> bool {
        match self.stage {
            Stage::Head => {
                json.raw("{\"status\":\"success\",\"data\":[");
                self.stage = Stage::Items;
            }
            Stage::Items => match self.items.next() {
                Some(item) => {
                    if self.written > 0 {
                        json.raw(",");
                    }
                    self.written += 1;
                    (self.write)(json, &item);
                }
                None => {
                    json.raw("]");
                    super::answer::write_notes(json, "warnings", &self.warnings);
                    json.raw("}");
                    self.stage = Stage::Done;
                }
            },
            Stage::Done => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_long_list_leaves_in_pages_and_a_short_one_whole() {
        let list = |count: usize| {
            let items = (0..count).map(|item| format!("item {item}")).collect();
            body(ListAnswer::new(
                items,
                |json, item: &String| {
                    json.string(item);
                },
                vec![],
            ))
        };
        assert_eq!(HttpBody::size_hint(&list(3)).exact(), Some(56));

        let mut long = list(20_000);
        assert_eq!(HttpBody::size_hint(&long).exact(), None);
        let (mut pages, mut whole) = (0, Vec::new());
        while let Some(frame) = long.frame().await {
            let data = frame.unwrap().into_data().unwrap();
            assert!(data.len() < PAGE_BYTES + 100, "a page of {} bytes", data.len());
            pages += 1;
            whole.extend_from_slice(&data);
        }
        assert!(pages > 3);
        let read: serde_json::Value = serde_json::from_slice(&whole).unwrap();
        assert_eq!(read["data"].as_array().unwrap().len(), 20_000);
    }
}
