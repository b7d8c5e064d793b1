package main

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

const (
	clock  = "15:04:05.000000"
	moment = "2006-01-02T" + clock
)

// text is a value as the tests compare it.
func text(column arrow.Array, i int) any {
	if column.IsNull(i) {
		return nil
	}
	switch column := column.(type) {
	case *array.Float64:
		return strconv.FormatFloat(column.Value(i), 'g', -1, 64)
	case *array.Float32:
		return strconv.FormatFloat(float64(column.Value(i)), 'g', -1, 32)
	case *array.Decimal128:
		return column.Value(i).ToString(column.DataType().(*arrow.Decimal128Type).Scale)
	case *array.Binary:
		return hex.EncodeToString(column.Value(i))
	case *array.Date32:
		return column.Value(i).FormattedString()
	case *array.Time64:
		return column.Value(i).ToTime(column.DataType().(*arrow.Time64Type).Unit).Format(clock)
	case *array.Timestamp:
		told := column.DataType().(*arrow.TimestampType)
		at := column.Value(i).ToTime(told.Unit).Format(moment)
		if told.TimeZone != "" {
			return at + "Z"
		}
		return at
	case *array.Map:
		record := map[string]any{}
		for from, to := column.ValueOffsets(i); from < to; from++ {
			record[fmt.Sprint(text(column.Keys(), int(from)))] = text(column.Items(), int(from))
		}
		return record
	case *array.List:
		items := []any{}
		for from, to := column.ValueOffsets(i); from < to; from++ {
			items = append(items, text(column.ListValues(), int(from)))
		}
		return items
	case *array.Struct:
		record := map[string]any{}
		for at, field := range column.DataType().(*arrow.StructType).Fields() {
			record[field.Name] = text(column.Field(at), i)
		}
		return record
	case *array.DenseUnion:
		return text(column.Field(column.ChildID(i)), int(column.ValueOffset(i)))
	}
	return column.ValueStr(i)
}

// parameters is a batch out of types and texts in turn, where "row" begins a further row.
func parameters(values []string) (arrow.RecordBatch, error) {
	fields := []arrow.Field{}
	for i := 0; i < len(values) && values[i] != "row"; i += 2 {
		told, err := typeOf(values[i])
		if err != nil {
			return nil, err
		}
		fields = append(fields, arrow.Field{Name: fmt.Sprint("$", i/2+1), Type: told, Nullable: true})
	}
	build := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(fields, nil))
	defer build.Release()
	for i, at := 0, 0; i < len(values); i, at = i+2, at+1 {
		if values[i] == "row" {
			i, at = i+1, 0
		}
		into := build.Field(at)
		if values[i] == "null" {
			into.AppendNull()
			continue
		}
		value := values[i+1]
		if values[i] == "binary" {
			bytes, err := hex.DecodeString(value)
			if err != nil {
				return nil, err
			}
			value = base64.StdEncoding.EncodeToString(bytes)
		}
		if err := into.AppendValueFromString(value); err != nil {
			return nil, err
		}
	}
	return build.NewRecordBatch(), nil
}

func typeOf(name string) (arrow.DataType, error) {
	switch name {
	case "null":
		return arrow.Null, nil
	case "boolean":
		return arrow.FixedWidthTypes.Boolean, nil
	case "integer":
		return arrow.PrimitiveTypes.Int32, nil
	case "bigint":
		return arrow.PrimitiveTypes.Int64, nil
	case "double":
		return arrow.PrimitiveTypes.Float64, nil
	case "decimal":
		return &arrow.Decimal128Type{Precision: 38, Scale: 10}, nil
	case "text":
		return arrow.BinaryTypes.String, nil
	case "binary":
		return arrow.BinaryTypes.Binary, nil
	case "date":
		return arrow.FixedWidthTypes.Date32, nil
	case "time":
		return arrow.FixedWidthTypes.Time64us, nil
	case "timestamp":
		return &arrow.TimestampType{Unit: arrow.Microsecond}, nil
	case "timestamptz":
		return &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}, nil
	}
	return nil, fmt.Errorf("no type %s", name)
}
