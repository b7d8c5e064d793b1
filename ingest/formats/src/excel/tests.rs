use super::*;

/// A ZIP archive of parts that are not compressed.
fn zip(parts: &[(&str, &str)]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in parts {
        let mut crc = flate2::Crc::new();
        crc.update(content.as_bytes());
        let (size, offset) = (content.len() as u32, archive.len() as u32);
        let mut common = Vec::new();
        common.extend([20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0x58]);
        common.extend(crc.sum().to_le_bytes());
        common.extend(size.to_le_bytes());
        common.extend(size.to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        archive.extend(b"PK\x03\x04");
        archive.extend(&common);
        archive.extend(name.as_bytes());
        archive.extend(content.as_bytes());
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let start = archive.len() as u32;
    archive.extend(&directory);
    archive.extend(b"PK\x05\x06\x00\x00\x00\x00");
    archive.extend((parts.len() as u16).to_le_bytes());
    archive.extend((parts.len() as u16).to_le_bytes());
    archive.extend((directory.len() as u32).to_le_bytes());
    archive.extend(start.to_le_bytes());
    archive.extend([0, 0]);
    archive
}

/// A workbook with the rows as its second sheet.
fn xlsx(rows: &str) -> Vec<u8> {
    const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    const RELATIONS: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
    const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let sheet = |rows: &str| format!("<worksheet xmlns=\"{MAIN}\"><sheetData>{rows}</sheetData></worksheet>");
    let relation = |id: u8, kind: &str, target: &str| {
        format!("<Relationship Id=\"r{id}\" Type=\"{OFFICE}/{kind}\" Target=\"{target}\"/>")
    };
    let relations = |inner: String| format!("<Relationships xmlns=\"{RELATIONS}\">{inner}</Relationships>");
    let types = "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"/>";
    let workbook = format!(
        "<workbook xmlns=\"{MAIN}\" xmlns:r=\"{OFFICE}\"><sheets><sheet name=\"Notes\" sheetId=\"1\" r:id=\"r1\"/>\
         <sheet name=\"Sales\" sheetId=\"2\" r:id=\"r2\"/></sheets></workbook>"
    );
    // Formats: general, a date, a date with a time, a time, a duration.
    let styles = format!(
        "<styleSheet xmlns=\"{MAIN}\"><numFmts count=\"1\"><numFmt numFmtId=\"164\" formatCode=\"[h]:mm:ss\"/></numFmts>\
         <cellXfs count=\"5\"><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/><xf numFmtId=\"22\"/><xf numFmtId=\"21\"/>\
         <xf numFmtId=\"164\"/></cellXfs></styleSheet>"
    );
    let strings = format!("<sst xmlns=\"{MAIN}\"><si><t>Name</t></si><si><t>007</t></si></sst>");
    let books = relation(1, "worksheet", "worksheets/sheet1.xml")
        + &relation(2, "worksheet", "worksheets/sheet2.xml")
        + &relation(3, "styles", "styles.xml")
        + &relation(4, "sharedStrings", "sharedStrings.xml");
    zip(&[
        ("[Content_Types].xml", types),
        (
            "_rels/.rels",
            &relations(relation(1, "officeDocument", "xl/workbook.xml")),
        ),
        ("xl/workbook.xml", &workbook),
        ("xl/_rels/workbook.xml.rels", &relations(books)),
        ("xl/styles.xml", &styles),
        ("xl/sharedStrings.xml", &strings),
        ("xl/worksheets/sheet1.xml", &sheet("")),
        ("xl/worksheets/sheet2.xml", &sheet(rows)),
    ])
}

const ROWS: &str = r#"
<row r="2"><c r="A2" t="s"><v>0</v></c><c r="B2" t="inlineStr"><is><t>Amount</t></is></c><c r="C2" t="inlineStr"><is><t> Day </t></is></c><c r="D2"><v>2024</v></c></row>
<row r="3"><c r="A3" t="s"><v>1</v></c><c r="B3"><v>5</v></c><c r="C3" s="1"><v>45292</v></c><c r="D3" t="b"><v>1</v></c></row>
<row r="4"><c r="A4" s="1"/></row>
<row r="6"><c r="B6"><v>12.5</v></c><c r="C6" s="2"><v>45292.5</v></c><c r="D6" t="e"><v>#N/A</v></c><c r="E6" t="e"><v>#SPILL!</v></c><c r="F6" s="3"><v>0.75</v></c></row>
<row r="7"><c r="B7"><v>0.1</v></c><c r="C7" s="4"><v>1.5</v></c></row>
"#;

fn read(workbook: Vec<u8>, options: &str) -> Result<Vec<String>> {
    let plain = Plain::binary(Local::holding(&workbook, "sales.xlsx")?, &CancellationToken::new())?;
    let options: ExcelOptions = serde_json::from_str(options).unwrap();
    let local = records(&plain, &options, &CancellationToken::new())?;
    let text = std::io::read_to_string(local.open()?).unwrap();
    Ok(text.lines().map(str::to_owned).collect())
}

#[test]
fn values_keep_their_types_and_rows_their_numbers() {
    let lines = read(xlsx(ROWS), r#"{"sheet": "Sales"}"#).unwrap();
    assert_eq!(
        lines,
        [
            "",
            "",
            r#"{"Name":"007","Amount":5,"Day":"2024-01-01","2024":true}"#,
            "",
            "",
            r#"{"Name":null,"Amount":12.5,"Day":"2024-01-01T12:00:00","2024":null,"F":"18:00:00"}"#,
            r#"{"Name":null,"Amount":0.1,"Day":"36:00:00","2024":null}"#,
        ]
    );
}

#[test]
fn no_column_goes_without_a_name() {
    let text = |at: &str, text: &str| format!("<c r=\"{at}\" t=\"inlineStr\"><is><t>{text}</t></is></c>");
    let header = [
        text("B1", "A"),
        text("C1", "Total"),
        text("D1", " "),
        text("E1", "Total"),
        text("G1", "F"),
    ]
    .concat();
    let error = "<c r=\"H1\" t=\"e\"><v>#N/A</v></c>";
    let values: String = ('A'..='H')
        .map(|column| text(&format!("{column}2"), &column.to_string()))
        .collect();
    let rows = format!("<row r=\"1\">{header}{error}</row><row r=\"2\">{values}</row>");
    let lines = read(xlsx(&rows), r#"{"sheet": 2}"#).unwrap();
    let named = [
        ("A", "B"),
        ("Total", "C"),
        ("Total_2", "E"),
        ("F", "G"),
        ("column_A", "A"),
        ("D", "D"),
        ("column_F", "F"),
        ("H", "H"),
    ];
    let record: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&lines[1]).unwrap();
    let record: Vec<_> = record
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
        .collect();
    assert_eq!(record, named);
}

#[test]
fn a_number_that_looks_like_a_date_stays_a_number() {
    let cell = |at: &str, value: &str| format!("<c r=\"{at}\" s=\"1\"><v>{value}</v></c>");
    let cells = [
        cell("A2", "2958465"),
        cell("B2", "4915112345678"),
        cell("C2", "-5"),
        cell("D2", "61"),
    ]
    .concat();
    let header = "<c r=\"A1\" t=\"s\"><v>0</v></c>";
    let rows = format!("<row r=\"1\">{header}</row><row r=\"2\">{cells}</row>");
    let lines = read(xlsx(&rows), r#"{"sheet": 2}"#).unwrap();
    assert_eq!(
        lines[1],
        r#"{"Name":"9999-12-31","B":4915112345678,"C":-5,"D":"1900-03-01"}"#
    );
}

#[test]
fn a_part_of_a_sheet_is_read() {
    let lines = read(xlsx(ROWS), r#"{"sheet": 2, "range": "A2:B6"}"#).unwrap();
    assert_eq!(
        lines[2..],
        [r#"{"Name":"007","Amount":5}"#, "", "", r#"{"Name":null,"Amount":12.5}"#]
    );
    let lines = read(xlsx(ROWS), r#"{"sheet": 2, "range": "B3:C3", "header_row": 0}"#).unwrap();
    assert_eq!(lines[2], r#"{"B":5,"C":"2024-01-01"}"#);
    let lines = read(xlsx(ROWS), r#"{"sheet": 2, "header_row": 3}"#).unwrap();
    assert_eq!(
        lines[5],
        r#"{"007":null,"5":12.5,"2024-01-01":"2024-01-01T12:00:00","true":null,"F":"18:00:00"}"#
    );
    assert!(read(xlsx(ROWS), "{}").unwrap().is_empty());
}

#[test]
fn what_is_wrong_is_said() {
    let why = |workbook: Vec<u8>, options: &str| read(workbook, options).unwrap_err().to_string();
    assert!(why(xlsx(ROWS), r#"{"sheet": "Sale"}"#).contains("Notes, Sales"));
    assert!(why(xlsx(ROWS), r#"{"sheet": 3}"#).contains("no sheet 3"));
    for (content, what) in [
        (&b"id,name\n1,a\n"[..], "it is text, not a workbook"),
        (b"\xef\xbb\xbfid\tname\n1\ta\n", "set `format: tsv`"),
        (b" <!DOCTYPE html><html><table></table></html>", "web page"),
        (
            b"<?xml version=\"1.0\"?><Workbook xmlns=\"urn:schemas-microsoft-com:office:spreadsheet\"/>",
            "Excel 2003",
        ),
        (b"%PDF-1.7\n", "PDF"),
        (b"", "empty"),
        (b"\x01\x02\x03", "not a workbook"),
    ] {
        assert!(why(content.to_vec(), "{}").contains(what), "{what}");
    }
    assert!(why(zip(&[("a.csv", "id\n1\n")]), "{}").contains("without a workbook"));
    let package = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes);
    let locked = [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", &[0; 2000][..]].concat();
    let locked = locked.into_iter().chain(package).chain([0; 100]).collect();
    assert!(why(locked, "{}").contains("password"));
    let whole = xlsx(ROWS);
    assert!(read(whole[..whole.len() / 2].to_vec(), "{}").is_err());
    let mut bomb = whole.clone();
    let at = memchr::memmem::rfind(&bomb, b"xl/sharedStrings.xml").unwrap() - 46 + 24;
    bomb[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(why(bomb, "{}").contains("more than 1024"));
}

#[test]
fn ranges_are_written_as_in_a_spreadsheet() {
    let area = |text: &str| Area::try_from(text.to_owned());
    assert_eq!(
        area("A1:AB10").unwrap(),
        Area {
            first: (0, 0),
            last: (9, 27)
        }
    );
    for wrong in ["A1", "A0:B2", "B1:A2", "1:2", "A:B", "AAAA1:B2"] {
        assert!(area(wrong).is_err(), "{wrong}");
    }
    assert_eq!([0, 25, 26, 701, 702].map(letters), ["A", "Z", "AA", "ZZ", "AAA"]);
}
