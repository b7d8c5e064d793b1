package main

import (
	"bytes"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	"github.com/apache/arrow-go/v18/arrow/ipc"
)

// metadata answers one question about what there is: its name, and for most a schema and a table.
func (c *connection) metadata(arguments []string) (any, error) {
	ref := flightsql.TableRef{}
	if len(arguments) > 2 {
		ref = flightsql.TableRef{DBSchema: &arguments[1], Table: arguments[2]}
	}
	switch arguments[0] {
	case "catalogs":
		info, err := c.client.GetCatalogs(c.context)
		return c.columns(info, err, "catalog_name")
	case "schemas":
		info, err := c.client.GetDBSchemas(c.context, &flightsql.GetDBSchemasOpts{})
		return c.columns(info, err, "db_schema_name")
	case "table_types":
		info, err := c.client.GetTableTypes(c.context)
		return c.columns(info, err, "table_type")
	case "tables":
		info, err := c.client.GetTables(c.context, &flightsql.GetTablesOpts{DbSchemaFilterPattern: &arguments[1]})
		return c.columns(info, err, "db_schema_name", "table_name", "table_type")
	case "columns":
		return c.tableColumns(arguments[1], arguments[2])
	case "primary_key":
		info, err := c.client.GetPrimaryKeys(c.context, ref)
		return c.columns(info, err, "column_name")
	case "imported_keys":
		info, err := c.client.GetImportedKeys(c.context, ref)
		return c.columns(info, err, "fk_column_name", "pk_db_schema_name", "pk_table_name", "pk_column_name")
	case "exported_keys":
		info, err := c.client.GetExportedKeys(c.context, ref)
		return c.columns(info, err, "pk_column_name", "fk_db_schema_name", "fk_table_name", "fk_column_name")
	case "types":
		info, err := c.client.GetXdbcTypeInfo(c.context, nil)
		return c.columns(info, err, "type_name", "data_type")
	case "server":
		return c.server()
	}
	return nil, fmt.Errorf("no metadata %s", arguments[0])
}

// columns reads these columns of an answer.
func (c *connection) columns(info *flight.FlightInfo, err error, names ...string) (any, error) {
	if err != nil {
		return nil, err
	}
	rows := [][]any{}
	_, err = c.fetch(info, func(batch arrow.RecordBatch) bool {
		for i := 0; i < int(batch.NumRows()); i++ {
			row := []any{}
			for _, name := range names {
				row = append(row, text(batch.Column(batch.Schema().FieldIndices(name)[0]), i))
			}
			rows = append(rows, row)
		}
		return true
	})
	return rows, err
}

// tableColumns reads the columns of a table out of the schema that comes with it.
func (c *connection) tableColumns(schema, table string) (any, error) {
	wanted := flightsql.GetTablesOpts{
		DbSchemaFilterPattern: &schema, TableNameFilterPattern: &table, IncludeSchema: true,
	}
	info, err := c.client.GetTables(c.context, &wanted)
	if err != nil {
		return nil, err
	}
	rows := [][]any{}
	var damaged error
	_, err = c.fetch(info, func(batch arrow.RecordBatch) bool {
		schemas := batch.Column(batch.Schema().FieldIndices("table_schema")[0]).(*array.Binary)
		for i := 0; i < schemas.Len(); i++ {
			reader, err := ipc.NewReader(bytes.NewReader(schemas.Value(i)))
			if err != nil {
				damaged = err
				return false
			}
			for _, field := range reader.Schema().Fields() {
				row := []any{field.Name}
				for _, key := range []string{"TYPE_NAME", "PRECISION", "SCALE", "REMARKS"} {
					if value, ok := field.Metadata.GetValue("ARROW:FLIGHT:SQL:" + key); ok {
						row = append(row, value)
					} else {
						row = append(row, nil)
					}
				}
				rows = append(rows, row)
			}
			reader.Release()
		}
		return true
	})
	if err == nil {
		err = damaged
	}
	return rows, err
}

// server is what the server says of itself, each by its own code.
func (c *connection) server() (any, error) {
	codes := map[flightsql.SqlInfo]string{
		flightsql.SqlInfoFlightSqlServerName:     "name",
		flightsql.SqlInfoFlightSqlServerVersion:  "version",
		flightsql.SqlInfoFlightSqlServerReadOnly: "read_only",
		flightsql.SqlInfoIdentifierQuoteChar:     "quote",
		flightsql.SqlInfoKeywords:                "keywords",
		flightsql.SqlInfoStringFunctions:         "functions",
		flightsql.SqlInfoSupportsConvert:         "convert",
		flightsql.SqlInfoOuterJoinsSupportLevel:  "outer_joins",
		flightsql.SqlInfoTransactionsSupported:   "transactions",
		flightsql.SqlInfoMaxTableNameLen:         "longest_name",
	}
	asked := []flightsql.SqlInfo{}
	for code := range codes {
		asked = append(asked, code)
	}
	info, err := c.client.GetSqlInfo(c.context, asked)
	if err != nil {
		return nil, err
	}
	found := map[string]any{}
	_, err = c.fetch(info, func(batch arrow.RecordBatch) bool {
		for i := 0; i < int(batch.NumRows()); i++ {
			code := batch.Column(0).(*array.Uint32).Value(i)
			found[codes[flightsql.SqlInfo(code)]] = text(batch.Column(1), i)
		}
		return true
	})
	return found, err
}
