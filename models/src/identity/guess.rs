//! What a column is, by its name in several languages, and by how it is tagged.

use super::kind::Kind;

/// Names of columns in English, Spanish, Portuguese, Catalan, French, German and Italian, as words with `_` between.
#[rustfmt::skip]
const NAMES: [(Kind, &[&str]); 16] = [
    (Kind::GivenName, &[
        "first_name", "firstname", "fname", "given_name", "givenname", "given_names", "forename", "christian_name",
        "nombre", "nombre_pila", "nombre_de_pila", "nombres", "primeiro_nome", "nome_proprio", "nom_pila", "prenom",
        "vorname",
    ]),
    (Kind::Surname, &[
        "last_name", "lastname", "lname", "surname", "surnames", "family_name", "familyname", "second_surname",
        "first_surname", "second_last_name", "apellido", "apellidos", "apellido_1", "apellido_2", "apellido1",
        "apellido2", "primer_apellido", "segundo_apellido", "sobrenome", "sobrenomes", "apelido", "apelidos",
        "ultimo_nome", "cognom", "cognoms", "nom_de_famille", "nom_famille", "nachname", "familienname", "cognome",
    ]),
    (Kind::FullName, &[
        "name", "full_name", "fullname", "complete_name", "customer_name", "contact_name", "person_name",
        "nombre_completo", "nombre_y_apellidos", "nombre_apellidos", "apellidos_y_nombre", "nome", "nome_completo",
        "nom_complet", "nom", "titular", "holder_name",
    ]),
    (Kind::Company, &[
        "company", "company_name", "organization", "organisation", "organization_name", "organisation_name",
        "business_name", "employer", "empresa", "razon_social", "nombre_comercial", "razao_social", "entreprise",
        "societe", "firma", "unternehmen", "azienda", "ragione_sociale",
    ]),
    (Kind::NationalId, &[
        "national_id", "national_identifier", "identity_number", "identity_document", "id_card", "document_number",
        "nif", "nie", "cif", "dni", "nif_cif", "cif_nif", "documento", "numero_documento", "num_documento",
        "documento_identidad", "tax_id", "tax_number", "vat", "vat_id", "vat_number", "tin", "ssn", "soc_sec_id",
        "social_security_number", "social_security", "sin", "nino", "passport", "passport_number", "pasaporte",
        "nipc", "contribuinte", "cpf", "cnpj", "codice_fiscale", "partita_iva", "ust_id", "siren", "siret", "rut",
        "curp", "rfc",
    ]),
    (Kind::Identifier, &[
        "login", "login_name", "username", "user_name", "usuario", "nombre_usuario", "utilizador", "loyalty_card",
        "loyalty_number", "loyalty_id", "loyalty_card_number", "card_key", "member_number", "membership_number",
        "tarjeta", "tarjeta_cliente", "tarjeta_fidelidad", "numero_socio", "cartao", "cartao_cliente",
        "carte_fidelite", "kundenkarte",
    ]),
    (Kind::Email, &[
        "email", "e_mail", "mail", "email_address", "e_mail_address", "mail_address", "correo", "correo_electronico",
        "correu", "correu_electronic", "correio_eletronico", "courriel", "adresse_mail", "posta_elettronica",
    ]),
    (Kind::Phone, &[
        "phone", "phone_number", "telephone", "telephone_number", "tel", "tlf", "tfno", "tfn", "mobile",
        "mobile_phone", "mobile_number", "cell", "cell_phone", "cellphone", "landline", "telefono", "telefono_movil",
        "telefono_fijo", "movil", "celular", "telefone", "telemovel", "telefon", "mobil", "handy", "portable",
        "cellulare", "msisdn",
    ]),
    (Kind::BornOn, &[
        "born_on", "born", "birth_date", "birthdate", "birthday", "birth_day", "date_of_birth", "dob",
        "fecha_nacimiento", "fecha_de_nacimiento", "f_nacimiento", "fec_nac", "fecha_nac", "nacimiento",
        "data_nascimento", "data_de_nascimento", "nascimento", "data_naixement", "date_naissance",
        "date_de_naissance", "geburtsdatum", "geburtstag", "data_di_nascita", "data_nascita",
    ]),
    (Kind::StreetNumber, &[
        "street_number", "house_number", "building_number", "street_no", "house_no", "numero", "num_calle",
        "numero_calle", "numero_via", "num_via", "hausnummer", "numero_civico",
    ]),
    (Kind::Street, &[
        "street", "street_name", "address", "address_1", "address1", "address_line_1", "address_line1",
        "street_address", "full_address", "postal_address", "calle", "via", "nombre_via", "direccion",
        "direccion_postal", "domicilio", "rua", "logradouro", "morada", "endereco", "carrer", "adreca", "rue",
        "adresse", "strasse", "indirizzo",
    ]),
    (Kind::Address, &[
        "address_2", "address2", "address_line_2", "address_line2", "address_extra", "direccion_2", "direccion2",
        "complemento", "endereco_2", "adresse_2",
    ]),
    (Kind::City, &[
        "city", "town", "suburb", "locality", "municipality", "village", "ciudad", "municipio", "localidad",
        "poblacion", "cidade", "localidade", "concelho", "ciutat", "poblacio", "municipi", "ville", "commune",
        "stadt", "ort", "citta", "comune",
    ]),
    (Kind::Region, &[
        "region", "state", "province", "province_code", "province_name", "county", "provincia", "cod_provincia",
        "codigo_provincia", "comunidad", "comunidad_autonoma", "estado", "uf", "distrito", "departement",
        "bundesland", "regione",
    ]),
    (Kind::Postcode, &[
        "postcode", "post_code", "postal_code", "postalcode", "zip", "zip_code", "zipcode", "cp", "cod_postal",
        "codigo_postal", "codi_postal", "cep", "code_postal", "plz", "postleitzahl", "cap",
    ]),
    (Kind::Category, &[
        "gender", "sex", "sexo", "genero", "sexe", "geschlecht", "sesso",
    ]),
];

/// Words that a name may begin or end with without another meaning.
#[rustfmt::skip]
const AROUND: [&str; 18] = [
    "account", "billing", "client", "cliente", "contact", "contacto", "customer", "default", "home", "invoice",
    "main", "person", "personal", "primary", "principal", "shipping", "user", "work",
];

/// What a column is, if its name or its tag says so.
pub(crate) fn kind_of(column: &str, pii: Option<&str>) -> Option<Kind> {
    let name = words(column);
    let known = |name: &str| {
        NAMES
            .iter()
            .find(|(_, names)| names.contains(&name))
            .map(|(kind, _)| *kind)
    };
    let named = known(&name).or_else(|| {
        let name = name.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '_');
        known(name).or_else(|| {
            let words: Vec<&str> = name.split('_').collect();
            let [first, middle @ .., last] = words.as_slice() else {
                return None;
            };
            let without = |is_around: bool, rest: &[&str]| known(&rest.join("_")).filter(|_| is_around);
            let without_first = without(AROUND.contains(first), &words[1..]);
            without_first.or_else(|| without(AROUND.contains(last), &[&[*first], middle].concat()))
        })
    });
    named.or_else(|| tagged(pii?))
}

/// What the kinds of personal data are of which columns have tags.
fn tagged(pii: &str) -> Option<Kind> {
    Some(match pii {
        "email" => Kind::Email,
        "phone" => Kind::Phone,
        "birth_date" => Kind::BornOn,
        "address" => Kind::Street,
        "postcode" => Kind::Postcode,
        "national_id" => Kind::NationalId,
        "card" => Kind::Identifier,
        "name" => Kind::FullName,
        _ => return None,
    })
}

/// A name in lower case, with `_` between its words, without accents.
fn words(column: &str) -> String {
    let mut words = String::with_capacity(column.len());
    let mut was_small = false;
    for letter in any_ascii::any_ascii(column).chars() {
        if letter.is_ascii_uppercase() && was_small || !letter.is_ascii_alphanumeric() && !words.ends_with('_') {
            words.push('_');
        }
        was_small = letter.is_ascii_lowercase() || letter.is_ascii_digit();
        if letter.is_ascii_alphanumeric() {
            words.push(letter.to_ascii_lowercase());
        }
    }
    words.trim_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_what_their_names_say_in_several_languages() {
        for (column, kind) in [
            ("first_name", Kind::GivenName),
            ("Nombre", Kind::GivenName),
            ("primerApellido", Kind::Surname),
            ("nome_completo", Kind::FullName),
            ("razón social", Kind::Company),
            ("DNI", Kind::NationalId),
            ("soc_sec_id", Kind::NationalId),
            ("loyalty_card", Kind::Identifier),
            ("E-Mail", Kind::Email),
            ("contact_email", Kind::Email),
            ("email_2", Kind::Email),
            ("telefono movil", Kind::Phone),
            ("fecha_nacimiento", Kind::BornOn),
            ("date_of_birth", Kind::BornOn),
            ("Geburtsdatum", Kind::BornOn),
            ("address_1", Kind::Street),
            ("address_2", Kind::Address),
            ("billing_city", Kind::City),
            ("codigoPostal", Kind::Postcode),
            ("cp", Kind::Postcode),
            ("sexo", Kind::Category),
            ("shipping_postal_code", Kind::Postcode),
        ] {
            assert_eq!(kind_of(column, None), Some(kind), "{column}");
        }
        for column in [
            "record_id",
            "updated_at",
            "system",
            "store_id",
            "amount",
            "customer",
            "state_of_order",
        ] {
            assert_eq!(kind_of(column, None), None, "{column}");
        }
    }

    #[test]
    fn a_tag_says_what_a_name_does_not() {
        assert_eq!(kind_of("c_17", Some("email")), Some(Kind::Email));
        assert_eq!(kind_of("surname", Some("name")), Some(Kind::Surname));
        assert_eq!(kind_of("note", Some("health")), None);
    }
}
