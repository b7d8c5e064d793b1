"""Splink: who is who among the records of a Parquet file. Usage: splink_dedupe.py PARQUET SORT CLUSTERS

SORT is `febrl` or `people`: which comparisons and blocking rules are made, in the manner of Splink's own examples. Writes
the clusters at several thresholds, and prints the seconds until those of the first one were there.
"""

import logging
import sys
import time

import duckdb
import splink.comparison_library as cl
from splink import DuckDBAPI, Linker, SettingsCreator, block_on

# The first is the one that Splink's examples use most.
THRESHOLDS = [0.95, 0.5, 0.9, 0.99]

# What its documentation advises to do before: one case, no accents, only the digits of telephones.
FOLDED = "nullif(trim(lower(strip_accents({0}))), '') as {0}"
DIGITS = "nullif(right(regexp_replace({0}, '[^0-9]', '', 'g'), 9), '') as {0}"
AS_IT_IS = "nullif(trim({0}), '') as {0}"


def febrl(columns):
    compared = [
        cl.NameComparison("given_name"),
        cl.NameComparison("surname"),
        cl.DateOfBirthComparison("date_of_birth", input_is_string=True, datetime_format="%Y%m%d"),
        cl.LevenshteinAtThresholds("soc_sec_id", [1, 2]),
        cl.ExactMatch("street_number").configure(term_frequency_adjustments=True),
        cl.JaroWinklerAtThresholds("address_1", [0.9, 0.8]),
        cl.JaroWinklerAtThresholds("suburb", [0.9]),
        cl.LevenshteinAtThresholds("postcode", [1, 2]),
    ]
    rules = ["soc_sec_id", "given_name", "surname", "date_of_birth", "address_1", "postcode"]
    return {
        "columns": dict.fromkeys(columns, AS_IT_IS),
        "compared": compared,
        "rules": [block_on(rule) for rule in rules],
        "sure": [block_on("soc_sec_id"), block_on("given_name", "surname", "date_of_birth")],
        "trained": [block_on("date_of_birth"), block_on("postcode")],
    }


def people(columns):
    compared = [
        cl.NameComparison("first_name"),
        cl.NameComparison("last_name"),
        cl.DateOfBirthComparison("born_on", input_is_string=True),
        cl.EmailComparison("email"),
        cl.LevenshteinAtThresholds("phone", [1]),
        cl.JaroWinklerAtThresholds("street", [0.9]),
        cl.LevenshteinAtThresholds("postcode", [1]),
    ]
    rules = [
        block_on("email"),
        block_on("phone"),
        block_on("first_name", "last_name"),
        block_on("born_on", "first_name"),
        block_on("street", "postcode"),
        block_on("last_name", "postcode"),
    ]
    sure = [block_on("email"), block_on("first_name", "last_name", "phone")]
    if "card_key" in columns:
        compared.append(cl.ExactMatch("card_key"))
        rules.append(block_on("card_key"))
        sure.append(block_on("card_key"))
    folded = ("first_name", "last_name", "email", "street", "city")
    return {
        "columns": {name: FOLDED if name in folded else DIGITS if name == "phone" else AS_IT_IS for name in columns},
        "compared": compared,
        "rules": rules,
        "sure": sure,
        "trained": [block_on("first_name", "last_name"), block_on("email"), block_on("phone")],
    }


def main(parquet, sort, clusters):
    logging.getLogger("splink").setLevel(logging.ERROR)
    start = time.perf_counter()
    connection = duckdb.connect()
    connection.sql("set enable_progress_bar = false")
    names = [name for name in connection.sql(f"from '{parquet}'").columns if name not in ("record_key", "person")]
    chosen = {"febrl": febrl, "people": people}[sort](names)
    columns = ", ".join(form.format(name) for name, form in chosen["columns"].items())
    connection.sql(f"create table records as select record_key as unique_id, {columns} from '{parquet}'")

    settings = SettingsCreator(
        link_type="dedupe_only",
        comparisons=chosen["compared"],
        blocking_rules_to_generate_predictions=chosen["rules"],
        retain_intermediate_calculation_columns=False,
    )
    api = DuckDBAPI(connection)
    linker = Linker(api.register("records"), settings)
    linker.training.estimate_probability_two_random_records_match(chosen["sure"], recall=0.8)
    linker.training.estimate_u_using_random_sampling(max_pairs=2e6)
    for rule in chosen["trained"]:
        linker.training.estimate_parameters_using_expectation_maximisation(rule)
    pairs = linker.inference.predict(threshold_match_probability=0.1)

    seconds, parts = None, []
    for threshold in THRESHOLDS:
        found = linker.clustering.cluster_pairwise_predictions_at_threshold(pairs, threshold_match_probability=threshold)
        seconds = seconds or time.perf_counter() - start
        parts.append(f"select unique_id as record_key, cluster_id as cluster, {threshold} as threshold from {found.physical_name}")
    connection.sql(f"copy ({' union all '.join(parts)}) to '{clusters}' (format parquet)")
    print(seconds)


main(*sys.argv[1:])
