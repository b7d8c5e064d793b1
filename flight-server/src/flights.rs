//! The relations as flights, for clients of Flight that know no Flight SQL.

use arrow::array::{BooleanArray, StringArray};
use arrow::compute::kernels::comparison::like;
use arrow_flight::{FlightDescriptor, FlightInfo};
use cordada_core::TableName;
use tonic::Status;

use crate::protocol::all_rows;
use crate::service::{Caller, Service};
use crate::{status, ticket, wire};

impl Service {
    /// The relations that may be read, each with a ticket for all of its rows.
    pub(crate) async fn flights(&self, caller: &Caller, criteria: &[u8]) -> Result<Vec<FlightInfo>, Status> {
        let context = self.read_context(caller).await?;
        let workspace = self.engine.workspace(&context.scope);
        let names: Vec<_> = workspace
            .relations()
            .iter()
            .map(|relation| relation.name.clone())
            .collect();
        let wanted = wanted(&names, criteria)?;
        let columns = workspace.columns().await.map_err(|error| status::of(&error))?;
        let sizes = workspace.sizes().await;
        let mut flights = Vec::new();
        for (((name, wanted), columns), size) in names.iter().zip(wanted).zip(columns).zip(sizes) {
            // A relation that cannot be opened has no columns.
            if !wanted || columns.fields().is_empty() {
                continue;
            }
            let sql = all_rows([name.schema(), name.name()].into_iter());
            let query = ticket::Query::new(sql, None).map_err(|error| status::of(&error))?;
            let schema = wire::schema(columns, context.types);
            let info = self.ticketed(&context, &schema, ticket::Request::Query(query))?;
            let path = vec![name.schema().to_owned(), name.name().to_owned()];
            flights.push(
                info.with_descriptor(FlightDescriptor::new_path(path))
                    .with_total_records(known(size.rows))
                    .with_total_bytes(known(size.bytes)),
            );
        }
        Ok(flights)
    }
}

/// Which of the relations a client wants listed: those whose `schema.name` is like the pattern that it sends as the
/// criteria, in which `%` stands for any characters and `_` for one. Without criteria, all.
pub(crate) fn wanted(names: &[TableName], criteria: &[u8]) -> Result<Vec<bool>, Status> {
    if criteria.is_empty() {
        return Ok(vec![true; names.len()]);
    }
    let wrong = || {
        Status::invalid_argument(
            "the criteria is not a pattern of names such as `marts.%`, which is what ListFlights takes",
        )
    };
    let pattern = std::str::from_utf8(criteria).map_err(|_| wrong())?;
    let names = StringArray::from_iter_values(names.iter().map(TableName::to_string));
    let matches: BooleanArray = like(&names, &StringArray::new_scalar(pattern)).map_err(|_| wrong())?;
    Ok(matches.values().iter().collect())
}

/// A number of Flight's, where -1 is unknown.
fn known(number: Option<usize>) -> i64 {
    number.and_then(|number| i64::try_from(number).ok()).unwrap_or(-1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn criteria_are_patterns_of_names() {
        let names = ["marts.sales", "raw_shop.orders", "rawxshop.orders"].map(|name| name.parse().unwrap());
        for (criteria, expected) in [
            ("", [true, true, true]),
            ("marts.%", [true, false, false]),
            ("%orders", [false, true, true]),
            ("raw\\_shop.%", [false, true, false]),
            ("sales", [false, false, false]),
        ] {
            assert_eq!(wanted(&names, criteria.as_bytes()).unwrap(), expected, "{criteria}");
        }
        assert_eq!(wanted(&names, &[0xff]).unwrap_err().code(), Code::InvalidArgument);
        assert_eq!((known(Some(3)), known(None)), (3, -1));
    }
}
