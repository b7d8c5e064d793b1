"""Persons who do not exist, as two systems know them: records to find who is who in, and the truth about them.

Households share a home and often a telephone and surnames; some are twins; some have moved between two records. What is
written has slips, gaps and other people's ways of writing. The same number of persons makes the same records.
"""

import random
import unicodedata

GIVEN = """
María Carmen Ana Isabel Laura Cristina Marta Lucía Elena Sara Paula Raquel Rosa Pilar Antonia Dolores Teresa Beatriz
Silvia Julia Irene Alba Nuria Patricia Andrea Rocío Mónica Inés Sofía Clara Alicia Eva Noelia Lorena Sandra Carla
Antonio José Manuel Francisco David Juan Javier Daniel Carlos Jesús Alejandro Miguel Rafael Pablo Pedro Ángel Sergio
Fernando Jorge Luis Alberto Álvaro Adrián Diego Raúl Iván Rubén Óscar Andrés Enrique Víctor Santiago Hugo Mario Iker
""".split()
CALLED = {"Francisco": "Paco", "José": "Pepe", "Dolores": "Lola", "Rafael": "Rafa", "Javier": "Javi", "Manuel": "Manolo"}
SURNAMES = """
García Rodríguez González Fernández López Martínez Sánchez Pérez Gómez Martín Jiménez Hernández Ruiz Díaz Moreno Muñoz
Álvarez Romero Gutiérrez Alonso Navarro Torres Domínguez Ramos Vázquez Ramírez Gil Serrano Morales Molina Blanco Suárez
Castro Ortega Delgado Ortiz Marín Rubio Núñez Medina Sanz Castillo Iglesias Cortés Garrido Santos Guerrero Lozano Cano
""".split()
CITIES = """
Vitoria Albacete Alicante Almería Ávila Badajoz Palma Barcelona Burgos Cáceres Cádiz Castellón Córdoba Cuenca Girona
Granada Guadalajara Huelva Huesca Jaén León Lleida Logroño Lugo Madrid Málaga Murcia Pamplona Ourense Oviedo Palencia
Pontevedra Salamanca Santander Segovia Sevilla Soria Tarragona Teruel Toledo Valencia Valladolid Bilbao Zamora Zaragoza
""".split()
KINDS = ["Calle", "Calle", "Calle", "Avenida", "Plaza", "Paseo"]
SHORT = {"Calle": "C/", "Avenida": "Avda.", "Plaza": "Pza.", "Paseo": "Pº"}
DOMAINS = ["gmail.com", "hotmail.com", "yahoo.es", "outlook.com", "correo.example", "buzon.example"]
STARTS = "Al Ba Ca Du Es Fa Gar Her In Lo Ma Ne Or Pe Que Ro Sal Ta Ur Vi Za".split()
MIDDLES = "ba ci da ga li lla me na no ra re ri sa ta te va vi zo".split()
ENDS = "ez ona era ales ín eda illo ano osa uz".split()

# How many live together, and how many cards and accounts they have, as often as that is.
SIZES = [1] * 11 + [2] * 5 + [3] * 2 + [4] * 2
CARDS = [0] * 5 + [1] * 14 + [2]
ACCOUNTS = [0] * 9 + [1] * 10 + [2]

COLUMNS = ["record_key", "first_name", "last_name", "born_on", "email", "phone", "street", "postcode", "city"]


class Draw(random.Random):
    """Draws, of which millions are made: `random` is what costs least of all that Python has."""

    def below(self, count):
        return int(self.random() * count)

    def one_of(self, things):
        return things[int(self.random() * len(things))]

    def often(self, things):
        """One of them, the first ones much more often."""
        return things[int((len(things) + 1) ** self.random()) - 1]

    def is_so(self, share):
        return self.random() < share


def invented(count, seed):
    """Words that sound like names."""
    draw, words = Draw(seed), {}
    while len(words) < count:
        middle = "".join(draw.one_of(MIDDLES) for _ in range(draw.below(3)))
        words[draw.one_of(STARTS) + middle + draw.one_of(ENDS)] = None
    return list(words)


class World:
    """What persons are drawn from: few names that many have, and many that few have."""

    def __init__(self, persons):
        self.draw = Draw(persons)
        self.given = GIVEN + invented(300, 1)
        self.surnames = SURNAMES + invented(12_000, 2)
        self.streets = invented(4_000, 3)
        self.numbers = 0

    def fresh(self):
        """A number that hardly anybody else gets, and that looks like any other."""
        self.numbers += 1
        return self.numbers * 2_654_435_761 % 1_000_000_007

    def home(self):
        draw = self.draw
        province = draw.below(len(CITIES))
        flat = f", {1 + draw.below(8)}º {draw.one_of('ABCD')}" if draw.is_so(0.6) else ""
        return {
            "street": (draw.one_of(KINDS), draw.often(self.streets), 1 + draw.below(139), flat),
            "postcode": f"{province + 1:02}{int(400 ** draw.random()):03}",
            "city": CITIES[province],
        }

    def telephone(self):
        """A telephone of one's own, or seldom one that a whole office or shop gives."""
        if self.draw.is_so(0.003):
            return f"9{self.draw.below(40) * 1_234_567 + 10_203_040:08}"
        return f"{self.draw.one_of('67')}{self.fresh() % 100_000_000:08}"

    def household(self):
        """The persons who live together: alone, couples, families, some with twins."""
        draw = self.draw
        size = draw.one_of(SIZES)
        home, telephone = self.home(), self.telephone()
        is_shared, has_twins = size > 1 and draw.is_so(0.5), size > 3 and draw.is_so(0.2)
        parents = [draw.often(self.surnames) for _ in range(4)]
        grown = 1940 + draw.below(50)
        born, called = [], set()
        for member in range(size):
            year = grown + (draw.below(9) - 4 if member < 2 else 22 + draw.below(14))
            born.append(f"{year}-{1 + draw.below(12):02}-{1 + draw.below(28):02}")
            child = [parents[0], parents[2]]
            while (first_name := draw.often(self.given)) in called:
                pass
            called.add(first_name)
            yield {
                "first_name": first_name,
                "surnames": child if member > 1 else parents[2 * member : 2 * member + 2],
                "born_on": born[2] if has_twins and member == 3 else born[member],
                "phone": telephone if is_shared else self.telephone(),
                "homes": [home, self.home()] if draw.is_so(0.1) else [home],
            }


def plain(text):
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def mail(world, person):
    draw = world.draw
    first, last = plain(person["first_name"]).lower(), plain(person["surnames"][0]).lower()
    name = draw.one_of([f"{first}.{last}", f"{first}{last}", f"{first[0]}{last}", f"{last}.{first}"])
    return f"{name}{world.fresh() % 100_000}@{draw.one_of(DOMAINS)}"


def slip(draw, text):
    """The text with one slip of the fingers."""
    if len(text) < 4:
        return text
    at = 1 + draw.below(len(text) - 3)
    kind = draw.below(4)
    if kind == 0:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    if kind == 1:
        return text[:at] + text[at + 1 :]
    if kind == 2:
        return text[:at] + text[at] + text[at:]
    letters = "0123456789" if text[at].isdigit() else "aeionrst"
    return text[:at] + draw.one_of(letters) + text[at + 1 :]


def written(draw, text):
    """The text as somebody in a hurry writes it."""
    if draw.is_so(0.03):
        text = slip(draw, text)
    if draw.is_so(0.25):
        text = plain(text)
    return text.upper() if draw.is_so(0.12) else text


def record(world, person, mails, is_shop):
    """What one system has of a person, without its key."""
    draw = world.draw
    first, surnames = person["first_name"], person["surnames"]
    if draw.is_so(0.08):
        first = CALLED.get(first, first)
    day = person["born_on"]
    if draw.is_so(0.02):
        day = slip(draw, day)
    phone = person["phone"] if draw.is_so(0.98) else slip(draw, person["phone"])
    phone = draw.one_of([phone, phone, f"+34 {phone[:3]} {phone[3:6]} {phone[6:]}", f"{phone[:3]}-{phone[3:6]}-{phone[6:]}"])
    home = draw.one_of(person["homes"])
    kind, name, number, flat = home["street"]
    kind = SHORT[kind] if draw.is_so(0.3) else kind
    there = lambda share, text: text if draw.is_so(share) else None  # noqa: E731
    return [
        written(draw, first),
        written(draw, surnames[0] if draw.is_so(0.5 if is_shop else 0.1) else " ".join(surnames)),
        None if is_shop else there(0.85, day),
        there(0.97 if is_shop else 0.6, slip(draw, draw.one_of(mails)) if draw.is_so(0.02) else draw.one_of(mails)),
        there(0.7 if is_shop else 0.9, phone),
        written(draw, f"{kind} {name}, {number}{flat if draw.is_so(0.8) else ''}"),
        home["postcode"],
        written(draw, home["city"]),
    ]


def records(persons):
    """The records of so many persons: (number of the person, columns)."""
    world, person = World(persons), 0
    while person < persons:
        for member in world.household():
            if person == persons:
                return
            draw = world.draw
            mails = [mail(world, member) for _ in range(1 + (draw.is_so(0.15)))]
            cards = draw.one_of(CARDS)
            accounts = draw.one_of(ACCOUNTS) or int(cards == 0)
            for system, count in enumerate([cards, accounts]):
                for number in range(count):
                    key = f"{'card' if system == 0 else 'shop'}:{2 * person + number}"
                    yield person, [key, *record(world, member, mails, system == 1)]
            person += 1


def write(path, persons):
    """Writes the records, with their persons beside them, as Parquet, in an order that says nothing."""
    import duckdb
    import pyarrow as pa
    import pyarrow.parquet as pq

    unordered = path.with_suffix(".unordered")
    schema = pa.schema([("person", pa.int64()), *((name, pa.string()) for name in COLUMNS)])
    with pq.ParquetWriter(unordered, schema) as writer:
        rows = []

        def flush():
            columns = zip(*rows, strict=True)
            writer.write_table(pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema))
            rows.clear()

        for person, columns in records(persons):
            rows.append([person, *columns])
            if len(rows) == 200_000:
                flush()
        if rows:
            flush()
    duckdb.sql(f"copy (from read_parquet('{unordered}') order by hash(record_key)) to '{path}' (format parquet)")
    unordered.unlink()
