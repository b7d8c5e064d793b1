package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	messages "github.com/apache/arrow-go/v18/arrow/flight/gen/flight"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

// connection is a client and the context that carries its token.
type connection struct {
	client  *flightsql.Client
	context context.Context
}

// connect opens a connection to a URI as grpc://host:port; options are names and values in turn.
func connect(uri string, options []string) (*connection, error) {
	named := map[string]string{}
	for i := 0; i < len(options); i += 2 {
		named[options[i]] = options[i+1]
	}
	scheme, address, _ := strings.Cut(uri, "://")
	transport := insecure.NewCredentials()
	if scheme == "grpc+tls" {
		config := &tls.Config{}
		if file, ok := named["ca"]; ok {
			pem, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			config.RootCAs = x509.NewCertPool()
			config.RootCAs.AppendCertsFromPEM(pem)
		}
		if file, ok := named["certificate"]; ok {
			certificate, err := tls.LoadX509KeyPair(file, named["key"])
			if err != nil {
				return nil, err
			}
			config.Certificates = []tls.Certificate{certificate}
		}
		transport = credentials.NewTLS(config)
	}
	middleware := []flight.ClientMiddleware{flight.NewClientCookieMiddleware()}
	client, err := flightsql.NewClient(address, nil, middleware, grpc.WithTransportCredentials(transport))
	if err != nil {
		return nil, err
	}
	opened := &connection{client, context.Background()}
	if token, ok := named["token"]; ok {
		opened.context = metadata.AppendToOutgoingContext(opened.context, "authorization", "Bearer "+token)
	}
	if user, ok := named["user"]; ok {
		opened.context, err = client.Client.AuthenticateBasicToken(opened.context, user, named["password"])
	} else {
		// Without users there is nothing to shake hands about; whether the server answers is found out here.
		_, err = opened.query("select 1", -1)
	}
	if err != nil {
		client.Close()
		return nil, err
	}
	return opened, nil
}

func (c *connection) close() error {
	if _, err := c.client.CloseSession(c.context, &flight.CloseSessionRequest{}); err != nil {
		return err
	}
	return c.client.Close()
}

// fetch calls with each batch of a planned query until that returns false.
func (c *connection) fetch(info *flight.FlightInfo, each func(arrow.RecordBatch) bool) (*arrow.Schema, error) {
	var schema *arrow.Schema
	for _, endpoint := range info.Endpoint {
		reading, stop := context.WithCancel(c.context)
		defer stop()
		reader, err := c.client.DoGet(reading, endpoint.Ticket)
		if err != nil {
			return nil, err
		}
		defer reader.Release()
		schema = reader.Schema()
		for {
			batch, err := reader.Read()
			if err == io.EOF {
				break
			}
			if err != nil {
				return schema, err
			}
			if !each(batch) {
				return schema, nil
			}
		}
	}
	return schema, nil
}

// rows reads a planned query as text, at most so many rows; all if negative.
func (c *connection) rows(info *flight.FlightInfo, most int) (any, error) {
	rows := [][]any{}
	schema, err := c.fetch(info, func(batch arrow.RecordBatch) bool {
		for i := 0; i < int(batch.NumRows()) && len(rows) != most; i++ {
			row := []any{}
			for _, column := range batch.Columns() {
				row = append(row, text(column, i))
			}
			rows = append(rows, row)
		}
		return len(rows) != most
	})
	if err != nil {
		return nil, err
	}
	columns := [][]string{}
	for _, field := range schema.Fields() {
		name, _ := field.Metadata.GetValue("ARROW:FLIGHT:SQL:TYPE_NAME")
		columns = append(columns, []string{field.Name, name})
	}
	return map[string]any{"columns": columns, "rows": rows}, nil
}

func (c *connection) query(sql string, most int) (any, error) {
	info, err := c.client.Execute(c.context, sql)
	if err != nil {
		return nil, err
	}
	return c.rows(info, most)
}

// count gives the number of rows and the sum of the first column, of 64-bit integers.
func (c *connection) count(sql string) (any, error) {
	info, err := c.client.Execute(c.context, sql)
	if err != nil {
		return nil, err
	}
	rows, sum := int64(0), int64(0)
	_, err = c.fetch(info, func(batch arrow.RecordBatch) bool {
		rows += batch.NumRows()
		for _, value := range batch.Column(0).(*array.Int64).Int64Values() {
			sum += value
		}
		return true
	})
	return []int64{rows, sum}, err
}

// cancel stops a query after its first batch; gives the rows that came, and how the stream ended.
func (c *connection) cancel(sql string) (any, error) {
	info, err := c.client.Execute(c.context, sql)
	if err != nil {
		return nil, err
	}
	rows, cancelled := int64(0), false
	var refused error
	_, err = c.fetch(info, func(batch arrow.RecordBatch) bool {
		rows += batch.NumRows()
		if !cancelled {
			_, refused = c.client.CancelFlightInfo(c.context, &flight.CancelFlightInfoRequest{Info: info})
			cancelled = true
		}
		return refused == nil
	})
	if refused != nil {
		return nil, refused
	}
	ended := ""
	if err != nil {
		ended = err.Error()
	}
	return []any{rows, ended}, nil
}

// execute runs the statement with one row of values: types and texts in turn, and "row" before each further row.
func (s *statement) execute(values []string) (any, error) {
	if len(values) > 0 {
		batch, err := parameters(values)
		if err != nil {
			return nil, err
		}
		defer batch.Release()
		s.prepared.SetParameters(batch)
	}
	info, err := s.prepared.Execute(s.connection.context)
	if err != nil {
		return nil, err
	}
	return s.connection.rows(info, -1)
}

// ingest writes the numbers below n into a table: schema, table, mode, n.
func (c *connection) ingest(arguments []string) (any, error) {
	schema := arrow.NewSchema([]arrow.Field{{Name: "id", Type: arrow.PrimitiveTypes.Int64, Nullable: true}}, nil)
	build := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer build.Release()
	var n int64
	if _, err := fmt.Sscan(arguments[3], &n); err != nil {
		return nil, err
	}
	for i := int64(0); i < n; i++ {
		build.Field(0).(*array.Int64Builder).Append(i)
	}
	batch := build.NewRecordBatch()
	defer batch.Release()
	reader, err := array.NewRecordReader(schema, []arrow.RecordBatch{batch})
	if err != nil {
		return nil, err
	}
	defer reader.Release()
	definition := &flightsql.TableDefinitionOptions{
		IfNotExist: flightsql.TableDefinitionOptionsTableNotExistOptionCreate,
		IfExists:   flightsql.TableDefinitionOptionsTableExistsOptionFail,
	}
	switch arguments[2] {
	case "append":
		definition.IfNotExist = flightsql.TableDefinitionOptionsTableNotExistOptionFail
		definition.IfExists = flightsql.TableDefinitionOptionsTableExistsOptionAppend
	case "replace":
		definition.IfExists = flightsql.TableDefinitionOptionsTableExistsOptionReplace
	}
	options := &flightsql.ExecuteIngestOpts{
		TableDefinitionOptions: definition,
		Schema:                 &arguments[0],
		Table:                  arguments[1],
	}
	return c.client.ExecuteIngest(c.context, reader, options)
}

func (c *connection) setOption(name, value string) error {
	values, err := flight.NewSessionOptionValues(map[string]any{name: value})
	if err != nil {
		return err
	}
	result, err := c.client.SetSessionOptions(c.context, &flight.SetSessionOptionsRequest{SessionOptions: values})
	if err != nil {
		return err
	}
	for name, refused := range result.Errors {
		return fmt.Errorf("the option %s is refused: %s", name, refused.Value)
	}
	return nil
}

func (c *connection) options() (any, error) {
	result, err := c.client.GetSessionOptions(c.context, &flight.GetSessionOptionsRequest{})
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for name, value := range result.SessionOptions {
		switch value := value.OptionValue.(type) {
		case *messages.SessionOptionValue_StringValue:
			found[name] = value.StringValue
		case *messages.SessionOptionValue_Int64Value:
			found[name] = fmt.Sprint(value.Int64Value)
		case *messages.SessionOptionValue_BoolValue:
			found[name] = fmt.Sprint(value.BoolValue)
		}
	}
	return found, nil
}
