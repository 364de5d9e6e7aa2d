//! Forms as they were posted.

use axum::body::Bytes;
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::StatusCode;

use crate::fault::Fault;

/// The fields of a form, in their order; a name may repeat.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Form(pub(crate) Vec<(String, String)>);

impl Form {
    /// Reads the fields of a body.
    pub(crate) fn read(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    /// Returns the text of a field without the spaces around it; empty if there is no such field.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(other, _)| other == name).map_or("", |(_, text)| text.trim())
    }

    /// Returns the text of a field, if it is not empty.
    pub(crate) fn some(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// Returns the texts of all fields of this name.
    pub(crate) fn all<'a>(&'a self, name: &'static str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(other, _)| other == name).map(|(_, text)| text.trim())
    }
}

/// A form with a file, as browsers post it.
#[derive(Debug, Default)]
pub(crate) struct FileForm {
    pub(crate) form: Form,
    /// The name of the file on the person's machine; empty if none was chosen.
    pub(crate) file_name: String,
    pub(crate) file: Bytes,
}

impl FileForm {
    /// Reads a form. The body's limit bounds all of it.
    ///
    /// # Errors
    /// It is no such form, or too large.
    pub(crate) async fn read(mut parts: Multipart) -> Result<Self, Fault> {
        let mut read = Self::default();
        let refused = |error: axum::extract::multipart::MultipartError| match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Fault::TooLarge,
            _ => Fault::BadForm,
        };
        while let Some(part) = parts.next_field().await.map_err(refused)? {
            let name = part.name().unwrap_or_default().to_owned();
            match part.file_name().map(str::to_owned) {
                Some(file_name) => (read.file_name, read.file) = (file_name, part.bytes().await.map_err(refused)?),
                None => read.form.0.push((name, part.text().await.map_err(refused)?)),
            }
        }
        Ok(read)
    }
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Fault;

    async fn from_request(request: Request, state: &S) -> Result<Self, Fault> {
        let body = Bytes::from_request(request, state).await.map_err(|_| Fault::BadForm)?;
        Ok(Self::read(&body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_repeat_and_are_trimmed() {
        let form = Form::read("item=a%2Fb&q=+2+&item=№5&empty=".as_bytes());
        assert_eq!(form.all("item").collect::<Vec<_>>(), ["a/b", "№5"]);
        assert_eq!((form.text("q"), form.text("none"), form.some("empty")), ("2", "", None));
    }
}
