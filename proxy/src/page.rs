//! The page at `/`: carriers reject domains that only redirect, so there is something to see.

use crate::answer::{self, Answer};
use hyper::body::Bytes;

/// The page, ready to be sent.
pub struct Page {
    html: Bytes,
    is_built_in: bool,
}

impl Page {
    /// The operator's own file, or a neutral page with the brand's name on it.
    pub fn new(file: Option<Vec<u8>>, brand: &str) -> Self {
        match file {
            Some(bytes) => Page { html: Bytes::from(bytes), is_built_in: false },
            None => Page { html: Bytes::from(built_in(&escaped(brand))), is_built_in: true },
        }
    }

    pub fn answer(&self) -> Answer {
        answer::page(self.html.clone(), self.is_built_in)
    }
}

fn built_in(brand: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{brand}</title>\n\
         <style>body{{font:1.1rem/1.6 system-ui,sans-serif;max-width:34rem;margin:20vh auto;padding:0 1.5rem;\
         color:#222;background:#fff}}</style>\n</head>\n<body>\n<h1>{brand}</h1>\n\
         <p>This domain carries the links in messages from {brand}. \
         To stop receiving messages, reply STOP to any of them.</p>\n</body>\n</html>\n"
    )
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brand_cannot_become_markup() {
        let page = Page::new(None, "A&B <script>\"'");
        let html = String::from_utf8(page.html.to_vec()).unwrap();
        assert!(html.contains("<title>A&amp;B &lt;script&gt;&quot;&#39;</title>"));
        assert!(!html.contains("<script>"));
    }

    #[test]
    fn own_page_is_sent_as_it_is() {
        assert_eq!(Page::new(Some(b"<p>hello".to_vec()), "ignored").html, "<p>hello");
    }
}
