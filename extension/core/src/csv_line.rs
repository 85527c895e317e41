//! One line of a CSV file, parted into its fields as RFC 4180 says. Not for: files, whose quoted fields may go over
//! several lines.

/// Why a line has no fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CsvError {
    /// A quoted field does not end, or goes on after its quote.
    Quote,
}

/// The fields, unquoted. There is always one: an empty line has an empty field.
pub fn fields(line: &str, delimiter: char) -> Result<Vec<String>, CsvError> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let field;
        (field, rest) = match rest.strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let end = rest.find(delimiter).unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        fields.push(field);
        if rest.is_empty() {
            return Ok(fields);
        }
        rest = rest.strip_prefix(delimiter).ok_or(CsvError::Quote)?;
    }
}

/// What stands between an opening quote and its closing one, and what follows it.
fn unquoted(text: &str) -> Result<(String, &str), CsvError> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('"').ok_or(CsvError::Quote)?;
        field.push_str(part);
        match after.strip_prefix('"') {
            Some(further) => {
                field.push('"');
                rest = further;
            }
            None => return Ok((field, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_are_parted_and_unquoted() {
        let cases: [(&str, &[&str]); 8] = [
            ("", &[""]),
            ("a,b", &["a", "b"]),
            (",", &["", ""]),
            ("\"a,b\",c", &["a,b", "c"]),
            ("\"say \"\"yes\"\"\",", &["say \"yes\"", ""]),
            ("\"\",\"\"", &["", ""]),
            ("5\" nail,1", &["5\" nail", "1"]),
            (" a , b ", &[" a ", " b "]),
        ];
        for (line, expected) in cases {
            assert_eq!(fields(line, ',').unwrap(), expected, "{line:?}");
        }
        assert_eq!(fields("a;\"b;c\"", ';').unwrap(), ["a", "b;c"]);
    }

    #[test]
    fn quotes_that_do_not_match_are_refused() {
        for line in ["\"a", "a,\"b", "\"a\"b,c", "\"a\"\""] {
            assert_eq!(fields(line, ','), Err(CsvError::Quote), "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_quoted_comes_back(values in prop::collection::vec(any::<String>(), 1..6)) {
            let quoted: Vec<_> = values.iter().map(|value| format!("\"{}\"", value.replace('"', "\"\""))).collect();
            prop_assert_eq!(fields(&quoted.join(","), ',').unwrap(), values);
        }
    }
}
