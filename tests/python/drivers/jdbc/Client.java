import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.sql.Array;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.Date;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Struct;
import java.sql.Time;
import java.sql.Timestamp;
import java.sql.Types;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;

/**
 * Does with JDBC what the tests ask for, a line each way.
 *
 * <p>A request is the name of an operation and its arguments, separated by tabs; tabs, line ends and backslashes within
 * them are escaped. An answer is one line of JSON: {"ok": …} or {"error": "…"}. Values come as text, as `text` in
 * drivers/__init__.py has them.
 */
public class Client {
    private final Map<String, Connection> connections = new HashMap<>();
    private final Map<String, PreparedStatement> statements = new HashMap<>();
    private int made = 0;

    public static void main(String[] arguments) throws Exception {
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        System.setOut(System.err);
        Client client = new Client();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            Map<String, Object> answer = new LinkedHashMap<>();
            try {
                answer.put("ok", client.answer(fields(line)));
            } catch (Throwable error) {
                answer.put("error", describe(error));
            }
            out.println(json(answer));
        }
    }

    private static List<String> fields(String line) {
        List<String> fields = new ArrayList<>();
        for (String field : line.split("\t", -1)) {
            StringBuilder text = new StringBuilder();
            for (int i = 0; i < field.length(); i++) {
                char c = field.charAt(i);
                if (c == '\\') {
                    c = field.charAt(++i);
                    c = c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c;
                }
                text.append(c);
            }
            fields.add(text.toString());
        }
        return fields;
    }

    private static String describe(Throwable error) {
        StringBuilder text = new StringBuilder();
        for (Throwable cause = error; cause != null; cause = cause.getCause()) {
            text.append(text.length() > 0 ? " <- " : "").append(cause.getClass().getSimpleName());
            text.append(": ").append(cause.getMessage());
        }
        return text.toString();
    }

    private Object answer(List<String> request) throws Exception {
        List<String> arguments = request.subList(1, request.size());
        switch (request.get(0)) {
            case "connect":
                return connect(arguments);
            case "close":
                connections.get(arguments.get(0)).close();
                return null;
            case "query":
                try (Statement statement = connection(arguments).createStatement()) {
                    return rows(statement.executeQuery(arguments.get(1)), Long.MAX_VALUE);
                }
            case "update":
                try (Statement statement = connection(arguments).createStatement()) {
                    return statement.executeUpdate(arguments.get(1));
                }
            case "objects":
                try (Statement statement = connection(arguments).createStatement()) {
                    return objects(statement.executeQuery(arguments.get(1)));
                }
            case "take":
                try (Statement statement = connection(arguments).createStatement()) {
                    return rows(statement.executeQuery(arguments.get(1)), Long.parseLong(arguments.get(2)));
                }
            case "count":
                try (Statement statement = connection(arguments).createStatement()) {
                    return count(statement.executeQuery(arguments.get(1)));
                }
            case "cancel":
                return cancel(connection(arguments), arguments.get(1), Long.parseLong(arguments.get(2)));
            case "prepare":
                String name = "statement" + made++;
                statements.put(name, connection(arguments).prepareStatement(arguments.get(1)));
                return name;
            case "execute":
                return execute(statements.get(arguments.get(0)), arguments.subList(1, arguments.size()));
            case "close_statement":
                statements.remove(arguments.get(0)).close();
                return null;
            case "metadata":
                return metadata(connection(arguments).getMetaData(), arguments.subList(1, arguments.size()));
            default:
                throw new IllegalArgumentException("no operation " + request.get(0));
        }
    }

    private Connection connection(List<String> arguments) {
        return connections.get(arguments.get(0));
    }

    private String connect(List<String> arguments) throws SQLException {
        Properties properties = new Properties();
        for (int i = 1; i < arguments.size(); i += 2) {
            properties.setProperty(arguments.get(i), arguments.get(i + 1));
        }
        String name = "connection" + made++;
        connections.put(name, DriverManager.getConnection(arguments.get(0), properties));
        return name;
    }

    private static Map<String, Object> rows(ResultSet result, long most) throws SQLException {
        try (result) {
            ResultSetMetaData told = result.getMetaData();
            List<Object> columns = new ArrayList<>();
            for (int i = 1; i <= told.getColumnCount(); i++) {
                columns.add(List.of(told.getColumnLabel(i), String.valueOf(told.getColumnTypeName(i))));
            }
            List<Object> rows = new ArrayList<>();
            while (rows.size() < most && result.next()) {
                List<Object> row = new ArrayList<>();
                for (int i = 1; i <= told.getColumnCount(); i++) {
                    row.add(typed(result, told.getColumnType(i), i));
                }
                rows.add(row);
            }
            Map<String, Object> answer = new LinkedHashMap<>();
            answer.put("columns", columns);
            answer.put("rows", rows);
            return answer;
        }
    }

    /** A value by the getter that is made for its type. */
    private static Object typed(ResultSet result, int type, int column) throws SQLException {
        switch (type) {
            case Types.TIMESTAMP:
                Timestamp local = result.getTimestamp(column);
                return local == null ? null : text(local.toLocalDateTime());
            case Types.TIMESTAMP_WITH_TIMEZONE:
                Timestamp instant = result.getTimestamp(column);
                return instant == null ? null : text(instant.toInstant());
            case Types.DATE:
                Date date = result.getDate(column);
                return date == null ? null : text(date.toLocalDate());
            case Types.TIME:
                Time time = result.getTime(column);
                return time == null ? null : text(time.toLocalTime());
            case Types.BINARY:
            case Types.VARBINARY:
            case Types.LONGVARBINARY:
                byte[] bytes = result.getBytes(column);
                return bytes == null ? null : text(bytes);
            case Types.DECIMAL:
            case Types.NUMERIC:
                BigDecimal decimal = result.getBigDecimal(column);
                return decimal == null ? null : text(decimal);
            default:
                return text(result.getObject(column));
        }
    }

    /** Whether getObject and getString give something for each column of the first row, and by which class. */
    private static Object objects(ResultSet result) throws SQLException {
        try (result) {
            List<Object> found = new ArrayList<>();
            result.next();
            for (int i = 1; i <= result.getMetaData().getColumnCount(); i++) {
                String told = result.getMetaData().getColumnTypeName(i);
                try {
                    Object object = result.getObject(i);
                    String name = object == null ? "null" : object.getClass().getSimpleName();
                    found.add(List.of(told, name, result.getString(i)));
                } catch (Throwable error) {
                    found.add(List.of(told, describe(error), ""));
                }
            }
            return found;
        }
    }

    private static Object text(Object value) throws SQLException {
        if (value == null || value instanceof String) {
            return value;
        } else if (value instanceof byte[] bytes) {
            StringBuilder hex = new StringBuilder();
            for (byte b : bytes) {
                hex.append(String.format("%02x", b));
            }
            return hex.toString();
        } else if (value instanceof BigDecimal decimal) {
            return decimal.toPlainString();
        } else if (value instanceof Timestamp timestamp) {
            return text(timestamp.toLocalDateTime());
        } else if (value instanceof Instant instant) {
            return text(LocalDateTime.ofInstant(instant, java.time.ZoneOffset.UTC)) + "Z";
        } else if (value instanceof LocalDateTime local) {
            return local.toLocalDate() + "T" + text(local.toLocalTime());
        } else if (value instanceof LocalTime time) {
            return time.format(java.time.format.DateTimeFormatter.ofPattern("HH:mm:ss.SSSSSS"));
        } else if (value instanceof Date date) {
            return date.toLocalDate().toString();
        } else if (value instanceof Time time) {
            return text(time.toLocalTime());
        } else if (value instanceof Array array) {
            return text(array.getArray());
        } else if (value instanceof Struct struct) {
            return text(struct.getAttributes());
        } else if (value instanceof Object[] items) {
            return text(java.util.Arrays.asList(items));
        } else if (value instanceof Collection<?> items) {
            List<Object> texts = new ArrayList<>();
            for (Object item : items) {
                texts.add(text(item));
            }
            return texts;
        } else if (value instanceof Map<?, ?> record) {
            Map<String, Object> texts = new LinkedHashMap<>();
            for (Map.Entry<?, ?> entry : record.entrySet()) {
                texts.put(String.valueOf(entry.getKey()), text(entry.getValue()));
            }
            return texts;
        } else if (value.getClass().getSimpleName().equals("Text")) {
            return value.toString(); // Arrow's text within lists and records
        }
        return String.valueOf(value);
    }

    private static Object count(ResultSet result) throws SQLException {
        try (result) {
            long rows = 0;
            long sum = 0;
            while (result.next()) {
                rows++;
                sum += result.getLong(1);
            }
            return List.of(rows, sum);
        }
    }

    private static Object cancel(Connection connection, String sql, long after) throws SQLException {
        try (Statement statement = connection.createStatement(); ResultSet result = statement.executeQuery(sql)) {
            long rows = 0;
            while (rows < after && result.next()) {
                rows++;
            }
            statement.cancel();
            try {
                while (result.next()) {
                    rows++;
                }
                return List.of(rows, "");
            } catch (SQLException error) {
                return List.of(rows, describe(error));
            }
        }
    }

    /** Arguments are types and values in turn: one row. */
    private static Object execute(PreparedStatement statement, List<String> values) throws SQLException {
        for (int i = 0; i < values.size(); i += 2) {
            bind(statement, i / 2 + 1, values.get(i), values.get(i + 1));
        }
        return rows(statement.executeQuery(), Long.MAX_VALUE);
    }

    private static void bind(PreparedStatement statement, int at, String type, String value) throws SQLException {
        switch (type) {
            case "null" -> statement.setObject(at, null);
            case "boolean" -> statement.setBoolean(at, Boolean.parseBoolean(value));
            case "integer" -> statement.setInt(at, Integer.parseInt(value));
            case "bigint" -> statement.setLong(at, Long.parseLong(value));
            case "double" -> statement.setDouble(at, Double.parseDouble(value));
            case "decimal" -> statement.setBigDecimal(at, new BigDecimal(value));
            case "text" -> statement.setString(at, value);
            case "binary" -> statement.setBytes(at, java.util.HexFormat.of().parseHex(value));
            case "date" -> statement.setDate(at, Date.valueOf(LocalDate.parse(value)));
            case "time" -> statement.setTime(at, Time.valueOf(LocalTime.parse(value)));
            case "timestamp" -> statement.setTimestamp(at, Timestamp.valueOf(LocalDateTime.parse(value)));
            case "timestamptz" -> statement.setTimestamp(at, Timestamp.from(Instant.parse(value)));
            default -> throw new IllegalArgumentException("no type " + type);
        }
    }

    private static Object metadata(DatabaseMetaData metadata, List<String> arguments) throws SQLException {
        String schema = arguments.size() > 1 ? arguments.get(1) : null;
        String table = arguments.size() > 2 ? arguments.get(2) : null;
        switch (arguments.get(0)) {
            case "catalogs":
                return select(metadata.getCatalogs(), "TABLE_CAT");
            case "schemas":
                return select(metadata.getSchemas(), "TABLE_SCHEM");
            case "table_types":
                return select(metadata.getTableTypes(), "TABLE_TYPE");
            case "tables":
                return select(metadata.getTables(null, schema, "%", null), "TABLE_SCHEM", "TABLE_NAME", "TABLE_TYPE");
            case "columns":
                return select(metadata.getColumns(null, schema, table, "%"),
                    "COLUMN_NAME", "TYPE_NAME", "COLUMN_SIZE", "DECIMAL_DIGITS", "REMARKS");
            case "primary_key":
                return select(metadata.getPrimaryKeys(null, schema, table), "COLUMN_NAME");
            case "imported_keys":
                return select(metadata.getImportedKeys(null, schema, table),
                    "FKCOLUMN_NAME", "PKTABLE_SCHEM", "PKTABLE_NAME", "PKCOLUMN_NAME");
            case "exported_keys":
                return select(metadata.getExportedKeys(null, schema, table),
                    "PKCOLUMN_NAME", "FKTABLE_SCHEM", "FKTABLE_NAME", "FKCOLUMN_NAME");
            case "types":
                return select(metadata.getTypeInfo(), "TYPE_NAME", "DATA_TYPE");
            case "server":
                Map<String, Object> server = new LinkedHashMap<>();
                server.put("name", metadata.getDatabaseProductName());
                server.put("version", metadata.getDatabaseProductVersion());
                server.put("read_only", String.valueOf(metadata.isReadOnly()));
                server.put("quote", metadata.getIdentifierQuoteString());
                server.put("keywords", metadata.getSQLKeywords());
                server.put("functions", metadata.getStringFunctions() + metadata.getNumericFunctions());
                server.put("convert", String.valueOf(metadata.supportsConvert(Types.VARCHAR, Types.INTEGER)));
                server.put("outer_joins", String.valueOf(metadata.supportsFullOuterJoins()));
                server.put("transactions", String.valueOf(metadata.supportsTransactions()));
                server.put("isolation", String.valueOf(metadata.getDefaultTransactionIsolation()));
                server.put("longest_name", String.valueOf(metadata.getMaxTableNameLength()));
                server.put("batches", String.valueOf(metadata.supportsBatchUpdates()));
                return server;
            default:
                throw new IllegalArgumentException("no metadata " + arguments.get(0));
        }
    }

    private static Object select(ResultSet result, String... columns) throws SQLException {
        try (result) {
            List<Object> rows = new ArrayList<>();
            while (result.next()) {
                List<Object> row = new ArrayList<>();
                for (String column : columns) {
                    row.add(text(result.getObject(column)));
                }
                rows.add(row);
            }
            return rows;
        }
    }

    private static String json(Object value) {
        if (value == null) {
            return "null";
        } else if (value instanceof Number) {
            return value.toString();
        } else if (value instanceof Map<?, ?> record) {
            List<String> entries = new ArrayList<>();
            record.forEach((name, item) -> entries.add(json(String.valueOf(name)) + ":" + json(item)));
            return "{" + String.join(",", entries) + "}";
        } else if (value instanceof Collection<?> items) {
            List<String> texts = new ArrayList<>();
            items.forEach(item -> texts.add(json(item)));
            return "[" + String.join(",", texts) + "]";
        }
        StringBuilder text = new StringBuilder("\"");
        for (char c : value.toString().toCharArray()) {
            if (c == '"' || c == '\\') {
                text.append('\\').append(c);
            } else if (c < ' ' || Character.isSurrogate(c)) {
                text.append(String.format("\\u%04x", (int) c));
            } else {
                text.append(c);
            }
        }
        return text.append('"').toString();
    }
}
