//! Forms as they were posted.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};

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
