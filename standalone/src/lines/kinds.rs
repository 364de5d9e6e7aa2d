//! The type of each line's command: one for the file, unless a cell of the line or the sign of its quantity says another.

use anyhow::bail;
use stockline_core::domain::CommandKind;

use crate::exit::Usage;

/// The word that leaves a line out.
const SKIP: &str = "skip";

/// The types of a file's lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kinds {
    /// The type of a line that says no other.
    own: CommandKind,
    /// The type of lines whose quantity is negative.
    negative: Option<CommandKind>,
    /// What the words of the type's column mean; `None` leaves the line out.
    words: Vec<(String, Option<CommandKind>)>,
}

impl From<CommandKind> for Kinds {
    fn from(own: CommandKind) -> Self {
        Self { own, negative: None, words: Vec::new() }
    }
}

impl Kinds {
    /// Takes lines with a negative quantity as commands of this type, with the quantity without its sign.
    pub fn with_negative(self, negative: Option<CommandKind>) -> anyhow::Result<Self> {
        if let Some(kind) = negative.filter(|kind| !has_quantity(*kind)) {
            bail!(Usage(format!(
                "--negative {}: it has no quantity; choose another type, such as return",
                kind.as_str()
            )));
        }
        Ok(Self { negative, ..self })
    }

    /// Adds what words mean: `R=return`, `V=skip`.
    pub fn with_words(mut self, words: &[String]) -> anyhow::Result<Self> {
        for text in words {
            let meaning = text.rsplit_once('=').and_then(|(word, kind)| Some((word, meaning(kind)?)));
            let Some((word, kind)) = meaning else {
                bail!(Usage(format!("--word {text:?} must be WORD=TYPE, such as R=return, or WORD=skip")));
            };
            self.words.push((word.trim().to_lowercase(), kind));
        }
        Ok(self)
    }

    /// Returns every type that a line can have.
    pub fn all(&self) -> impl Iterator<Item = CommandKind> {
        let words = self.words.iter().filter_map(|(_, kind)| *kind);
        [self.own].into_iter().chain(self.negative).chain(words)
    }

    /// Returns the type of lines whose quantity is negative, if they have one of their own.
    pub const fn negative(&self) -> Option<CommandKind> {
        self.negative
    }

    /// Returns the type of a line by the cell of the type's column and by its quantity; `None` if the line is left out.
    ///
    /// # Errors
    /// Fails if the word means nothing.
    pub fn of(&self, word: &str, quantity: &str) -> Result<Option<CommandKind>, UnknownWord> {
        let word = word.trim().to_lowercase();
        let said = self.words.iter().find(|(known, _)| *known == word).map(|(_, kind)| *kind);
        let kind = match said.or_else(|| meaning(&word)) {
            _ if word.is_empty() && said.is_none() => Some(self.own),
            Some(kind) => kind,
            None => return Err(UnknownWord),
        };
        Ok(kind.map(|kind| self.negative.filter(|_| has_quantity(kind) && quantity.starts_with('-')).unwrap_or(kind)))
    }
}

/// A line says a type by a word that means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no type: say what it means, such as --word R=return, or --word V=skip to leave such lines out")]
pub struct UnknownWord;

const fn has_quantity(kind: CommandKind) -> bool {
    kind.is_movement() && !matches!(kind, CommandKind::Count | CommandKind::Reverse)
}

fn meaning(word: &str) -> Option<Option<CommandKind>> {
    let word = word.trim();
    if word == SKIP { Some(None) } else { CommandKind::from_word(word).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(negative: Option<CommandKind>, words: &[&str]) -> anyhow::Result<Kinds> {
        let words: Vec<_> = words.iter().map(ToString::to_string).collect();
        Kinds::from(CommandKind::Sell).with_negative(negative)?.with_words(&words)
    }

    #[test]
    fn a_cell_or_the_sign_of_the_quantity_says_the_type() {
        let plain = kinds(None, &[]).unwrap();
        assert_eq!(plain.of("", "-1"), Ok(Some(CommandKind::Sell)), "refused by the server, with the line");
        assert_eq!(plain.of(" Return ", "1"), Ok(Some(CommandKind::Return)));
        assert_eq!(plain.of("R", "1"), Err(UnknownWord));
        let till = kinds(Some(CommandKind::Return), &["S=sell", "r=return", "V=skip"]).unwrap();
        assert_eq!(till.of("s", "2"), Ok(Some(CommandKind::Sell)));
        assert_eq!(till.of("R", "1"), Ok(Some(CommandKind::Return)));
        assert_eq!(till.of("v", "1"), Ok(None));
        assert_eq!(till.of("S", "-1"), Ok(Some(CommandKind::Return)));
        assert_eq!(till.of("count", "-1"), Ok(Some(CommandKind::Count)), "a count has no quantity");
        assert!(till.all().eq([CommandKind::Sell, CommandKind::Return, CommandKind::Sell, CommandKind::Return]));
    }

    #[test]
    fn what_means_nothing_is_refused() {
        assert!(kinds(None, &["R"]).unwrap_err().to_string().contains("WORD=TYPE"));
        assert!(kinds(None, &["R=refund"]).unwrap_err().to_string().contains("R=refund"));
        assert!(kinds(Some(CommandKind::Count), &[]).unwrap_err().to_string().contains("no quantity"));
        assert_eq!(
            kinds(None, &["=return"]).unwrap().of("", "1"),
            Ok(Some(CommandKind::Return)),
            "an empty cell is a word too"
        );
    }
}
