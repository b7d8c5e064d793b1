//! The audience of a campaign: who is in it, and who of them may be written to.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, Schema};
use cordada_core::sql_text::Dialect;
use cordada_core::suggest::did_you_mean;
use cordada_core::{Error, Result};
use futures::TryStreamExt;

use crate::campaign::{Campaign, of_own_persons};
use crate::client::{Client, PlannedStatement};
use crate::consent::DEFAULT_KEY;
use crate::personalise::Personaliser;
use crate::sql::ReadQuery;
use crate::wrong::wrong;

/// The audience of a campaign, planned and checked.
pub(crate) struct Audience<'a> {
    pub personaliser: Personaliser<'a>,
    /// The query for the rows that may be sent.
    pub query: String,
    pub planned: PlannedStatement,
    /// The release that is read, if the server tells.
    pub release: Option<u64>,
    /// Rows with and without consent, of a campaign that is over persons.
    pub size: Option<u64>,
}

impl<'a> Audience<'a> {
    /// Has the campaign's queries planned, and its rows counted.
    pub(crate) async fn plan(name: &'a str, campaign: &Campaign, client: &mut Client) -> Result<Self> {
        let read = campaign.query(name)?;
        let from = match campaign.membership("audience") {
            None => format!("from (\n{}\n) as audience", read.text),
            Some(member) => {
                format!(
                    "from (\nselect audience.* from (\n{}\n) as audience\nwhere {member}\n) as audience",
                    read.text
                )
            }
        };
        let all = format!("select audience.* {from}");
        let everybody = client
            .plan(&format!("planning `audience` of campaign {name}"), all.clone())
            .await?;
        if let Some(release) = everybody.release {
            client.pin(release);
        }
        let personaliser = Personaliser::new(name, &campaign.fields, &campaign.template, &everybody.schema)?;
        let Some(consent) = &campaign.consent else {
            if everybody.schema.column_with_name(DEFAULT_KEY).is_some() {
                return Err(wrong(
                    name,
                    "persons",
                    format!("it is false, but the audience has the column `{DEFAULT_KEY}`"),
                )
                .hint("name the consent that the campaign rests on, or leave the column out"));
            }
            let release = everybody.release;
            return Ok(Self {
                personaliser,
                query: all,
                planned: everybody,
                release,
                size: None,
            });
        };
        check_key(name, &read, &consent.key, &everybody.schema)?;
        let consents = client
            .plan(&format!("planning `consent` of campaign {name}"), consent.probe())
            .await?;
        let condition = consent
            .condition("audience", &consents.schema)
            .map_err(|why| wrong(name, "consent", why))?;
        let size = count(client, name, &consent.key, &from).await?;
        let query = format!("{all}\nwhere {condition}");
        let planned = client
            .plan(
                &format!("planning the consented audience of campaign {name}"),
                query.clone(),
            )
            .await?;
        let release = planned.release;
        Ok(Self {
            personaliser,
            query,
            planned,
            release,
            size: Some(size),
        })
    }
}

fn check_key(name: &str, read: &ReadQuery, key: &str, audience: &Schema) -> Result<()> {
    if audience.column_with_name(key).is_some() {
        return match of_own_persons(name, read, key)? {
            true => Ok(()),
            false => {
                let why = format!("it does not say which of its columns `{key}` is, by which consent is looked up");
                Err(wrong(name, "audience", why).hint("name it with `as`"))
            }
        };
    }
    let columns = audience.fields().iter().map(|field| field.name().as_str());
    let why = format!("it has to select `{key}`, by which consent is looked up");
    Err(wrong(name, "audience", why).hint(did_you_mean(key, "its columns are", columns)))
}

/// The rows of the audience.
///
/// # Errors
/// Config if all of several rows have the same key, or none has one: then it does not say whose rows they are.
async fn count(client: &mut Client, name: &str, key: &str, from: &str) -> Result<u64> {
    let doing = format!("counting the audience of campaign {name}");
    let column = format!("audience.{}", Dialect::Standard.identifier(key));
    let query = format!("select count(*), count({column}), coalesce(min({column}) = max({column}), true) {from}");
    let planned = client.plan(&doing, query).await?;
    let batches: Vec<RecordBatch> = client.read(&doing, planned).try_collect().await?;
    let counted = batches.iter().find(|batch| batch.num_rows() == 1);
    let counted = counted.and_then(|batch| match batch.columns() {
        [rows, keys, same] => Some((
            u64::try_from(rows.as_primitive_opt::<Int64Type>()?.value(0)).ok()?,
            keys.as_primitive_opt::<Int64Type>()?.value(0),
            same.as_boolean_opt()?.value(0),
        )),
        _ => None,
    });
    let (rows, keys, same) =
        counted.ok_or_else(|| Error::failed(doing, "the server sends something else than three counts"))?;
    let why = match (rows, keys) {
        (0, _) => return Ok(0),
        (_, 0) => format!("no row has a `{key}`, by which consent is looked up"),
        (_, 2..) if same => format!("all of its {rows} rows have the same `{key}`, by which consent is looked up"),
        _ => return Ok(rows),
    };
    Err(wrong(name, "audience", why).hint("select the key of each row's own person"))
}
