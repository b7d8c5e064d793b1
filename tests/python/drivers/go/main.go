// Does with arrow-go's Flight SQL client what the tests ask for, a line each way.
//
// A request is the name of an operation and its arguments, separated by tabs; tabs, line ends and backslashes within
// them are escaped. An answer is one line of JSON: {"ok": …} or {"error": "…"}. Values come as text, as `text` in
// drivers/__init__.py has them.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
)

// client is what has been opened, by name.
type client struct {
	connections map[string]*connection
	statements  map[string]*statement
	made        int
}

// statement is a prepared statement and the connection that it belongs to.
type statement struct {
	connection *connection
	prepared   *flightsql.PreparedStatement
}

func main() {
	client := &client{connections: map[string]*connection{}, statements: map[string]*statement{}}
	requests := bufio.NewScanner(os.Stdin)
	requests.Buffer(make([]byte, 1<<20), 1<<20)
	answers := json.NewEncoder(os.Stdout)
	for requests.Scan() {
		answer := map[string]any{}
		if found, err := client.answer(fields(requests.Text())); err != nil {
			answer["error"] = err.Error()
		} else {
			answer["ok"] = found
		}
		if err := answers.Encode(answer); err != nil {
			panic(err)
		}
	}
}

func fields(line string) []string {
	unescape := strings.NewReplacer(`\\`, `\`, `\t`, "\t", `\n`, "\n", `\r`, "\r")
	fields := strings.Split(line, "\t")
	for i, field := range fields {
		fields[i] = unescape.Replace(field)
	}
	return fields
}

func (c *client) answer(request []string) (any, error) {
	operation, arguments := request[0], request[1:]
	switch operation {
	case "connect":
		opened, err := connect(arguments[0], arguments[1:])
		if err != nil {
			return nil, err
		}
		return c.keep("connection", func(name string) { c.connections[name] = opened }), nil
	case "execute":
		return c.statements[arguments[0]].execute(arguments[1:])
	case "close_statement":
		closing := c.statements[arguments[0]]
		delete(c.statements, arguments[0])
		return nil, closing.prepared.Close(closing.connection.context)
	}
	connection := c.connections[arguments[0]]
	arguments = arguments[1:]
	switch operation {
	case "close":
		return nil, connection.close()
	case "query":
		return connection.query(arguments[0], -1)
	case "take":
		most, err := strconv.Atoi(arguments[1])
		if err != nil {
			return nil, err
		}
		return connection.query(arguments[0], most)
	case "count":
		return connection.count(arguments[0])
	case "cancel":
		return connection.cancel(arguments[0])
	case "update":
		return connection.client.ExecuteUpdate(connection.context, arguments[0])
	case "ingest":
		return connection.ingest(arguments)
	case "prepare":
		prepared, err := connection.client.Prepare(connection.context, arguments[0])
		if err != nil {
			return nil, err
		}
		made := &statement{connection, prepared}
		return c.keep("statement", func(name string) { c.statements[name] = made }), nil
	case "metadata":
		return connection.metadata(arguments)
	case "set_option":
		return nil, connection.setOption(arguments[0], arguments[1])
	case "options":
		return connection.options()
	}
	return nil, fmt.Errorf("no operation %s", operation)
}

func (c *client) keep(kind string, put func(name string)) string {
	name := fmt.Sprint(kind, c.made)
	c.made++
	put(name)
	return name
}
