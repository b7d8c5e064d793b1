//! The YAML of a campaign.

use std::collections::BTreeSet;

use cordada_core::Result;
use cordada_core::sql_text::Dialect;
use serde::Deserialize;

use crate::channels::{self, ChannelOptions};
use crate::consent::Consent;
use crate::mapping::Mapping;
use crate::person_key;
use crate::personalise::Templates;
use crate::sql::ReadQuery;
use crate::wrong::wrong;

/// What a campaign sends, to whom, and where.
///
/// ```yaml
/// audience: select customer_id, email, first_name from marts.customers where churn_risk > 0.7
/// consent: email_marketing
/// channel: {kind: csv, path: out/win_back.csv}
/// fields: {EMAIL: email, FNAME: first_name}
/// template: {subject: "We miss you, {{ first_name }}"}
/// ```
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Campaign {
    /// One query. Its rows are the audience, its columns what fields and templates can use. It is parsed, and sent in
    /// words of our own. A `limit` in it counts before consent does.
    pub audience: String,
    /// The segment that the audience is taken from: of its rows, those whose person is a member of that segment of the
    /// project. Persons are told apart by the consent's key.
    #[serde(default)]
    pub segment: Option<String>,
    /// The consent it rests on. Required, unless [`Self::persons`] is false.
    pub consent: Option<Consent>,
    /// Whether the audience are persons: true unless the campaign says `persons: false`, as one over products or
    /// stores does. An audience with the column that identifies a person is over persons whatever it says.
    #[serde(default = "yes")]
    pub persons: bool,
    /// The kind of channel and its options.
    pub channel: ChannelOptions,
    /// What is sent: the channel's name of each field, and the column of the audience it comes from, in this
    /// order. All columns under their own names when there are none.
    #[serde(default)]
    pub fields: Mapping,
    /// Personalised text: further fields, each the rendering of a Jinja template over the columns of the audience.
    /// Null renders as nothing and can be given a default: `{{ first_name | default('friend') }}`. A field whose
    /// name ends in `html` has its values escaped.
    #[serde(default)]
    pub template: Mapping,
}

fn yes() -> bool {
    true
}

impl Campaign {
    /// Checks all that can be checked without the server.
    ///
    /// # Errors
    /// Config, naming the key of the campaign that is wrong.
    pub fn validate(&self, name: &str) -> Result<()> {
        let audience = self.query(name)?;
        match (&self.consent, self.persons) {
            (None, true) => {
                return Err(wrong(name, "consent", "a campaign over persons needs the consent it rests on")
                    .hint("name the purpose, as in `consent: email_marketing`, or say `persons: false` if it is not over persons"));
            }
            (Some(_), false) => {
                return Err(wrong(name, "persons", "it is false, but the campaign names a consent")
                    .hint("leave out one of the two"));
            }
            (Some(consent), true) => {
                consent.validate().map_err(|why| wrong(name, "consent", why))?;
            }
            (None, false) => {}
        }
        if let Some(segment) = &self.segment {
            if segment.is_empty() || !segment.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') {
                return Err(wrong(name, "segment", "it is not the name of a segment"));
            }
            if self.consent.is_none() {
                return Err(wrong(
                    name,
                    "segment",
                    "members of a segment are persons, and the campaign says `persons: false`",
                ));
            }
        }
        let mut names = BTreeSet::new();
        for field in self.fields.names().chain(self.template.names()) {
            if !names.insert(field) {
                return Err(wrong(
                    name,
                    &format!("template.{field}"),
                    "there is a field of that name already",
                ));
            }
        }
        Templates::parse(&self.template).map_err(|(field, why)| wrong(name, &format!("template.{field}"), why))?;
        channels::validate(&self.channel).map_err(|problem| problem.of_campaign(name))?;
        match &self.consent {
            Some(consent) => of_own_persons(name, &audience, &consent.key).map(drop),
            None => Ok(()),
        }
    }

    /// The condition that `row`, an alias in the query, is a member of the segment, if the campaign names one.
    pub(crate) fn membership(&self, row: &str) -> Option<String> {
        let (segment, consent) = self.segment.as_ref().zip(self.consent.as_ref())?;
        let [segment, key] = [segment, &consent.key].map(|name| Dialect::Standard.identifier(name));
        Some(format!("{row}.{key} in (select {key} from segments.{segment})"))
    }

    /// The query of the audience.
    pub(crate) fn query(&self, name: &str) -> Result<ReadQuery> {
        ReadQuery::parse(&self.audience).map_err(|why| wrong(name, "audience", why))
    }
}

/// Whether the audience has the key of each row's own person; `false` if the query does not say which column it is.
///
/// # Errors
/// Config, if its key is anybody else's.
pub(crate) fn of_own_persons(name: &str, audience: &ReadQuery, key: &str) -> Result<bool> {
    person_key::is_of_table(&audience.query, key).map_err(|why| {
        let why = format!("`{key}`, by which consent is looked up, {why}");
        wrong(name, "audience", why).hint("select the key of each row's own person, as a column of the table it is in")
    })
}

#[cfg(test)]
mod tests;
