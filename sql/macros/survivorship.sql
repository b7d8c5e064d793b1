{#
The best value of each column among all records of one person, and the record that it comes from: the golden record.

    {{ survivorship(
        records='records', person='customer_id', record='record_key', source='system', updated='updated_at',
        sources=['shop', 'erp'],
        rules={
            'first_name': ['source', 'newest'],
            'phone': ['newest'],
            'address': {'columns': ['street', 'postcode', 'city'], 'by': ['complete', 'newest']}
        }
    ) }}

is a query with a row a person: each column, and for each rule `<rule>_source`, `<rule>_record` and `<rule>_updated_at`.
`records` is a relation, or a name of the query's `with`, with a row a record. Only records that have a value are asked;
of these the first by `by` gives it, and of equals the one with the least `record`. Columns of one rule come from one
record, so that no address is put together of two.

    source    as `sources` has them; what is not among them comes last
    newest    changed last; `oldest` the other way round
    complete  has most of the rule's columns; `longest` most characters in them
#}
{% macro survivorship(records, person, record, source, updated, rules, sources=[]) -%}
select
    {{ person }}
    {%- for name, rule in rules.items() %}
        {%- set columns = rule['columns'] if rule is mapping else [name] %}
        {%- set best = survivor_order(name, rule, record, source, updated, sources) | trim %}
        {%- set known = 'filter (where ' ~ columns | join(' is not null or ') ~ ' is not null)' %}
        {%- for column in columns %},
    first_value({{ column }} order by {{ best }}) {{ known }} as {{ column }}
        {%- endfor %},
    first_value({{ source }} order by {{ best }}) {{ known }} as {{ name }}_source,
    first_value({{ record }} order by {{ best }}) {{ known }} as {{ name }}_record,
    first_value({{ updated }} order by {{ best }}) {{ known }} as {{ name }}_updated_at
    {%- endfor %}
from {{ records }}
group by {{ person }}
{%- endmacro %}

{#
What `survivorship` has found, one row a person and column: the value as text, the source and the record that it comes
from, and when that was changed last. `golden` is the relation with the golden records, `rules` the same rules.
#}
{% macro provenance(golden, person, rules) -%}
{%- set places = [] %}
{%- for name, rule in rules.items() %}
{%- for column in (rule['columns'] if rule is mapping else [name]) %}
{%- do places.append(column) %}
{% if places | length > 1 %}union all{% endif %}
select
    {{ person }},
    {{ places | length }} as place,
    '{{ column }}' as attribute,
    cast({{ column }} as varchar) as value,
    {{ name }}_source as source,
    {{ name }}_record as record_key,
    {{ name }}_updated_at as updated_at,
    '{{ (rule['by'] if rule is mapping else rule) | join(", ") }}' as chosen_by
from {{ golden }}
where {{ column }} is not null
{%- endfor %}
{%- endfor %}
{%- endmacro %}

{# What records are put in order by, so that the best one comes first. #}
{% macro survivor_order(name, rule, record, source, updated, sources) -%}
{%- set columns = rule['columns'] if rule is mapping else [name] %}
{%- set keys = [] %}
{%- for by in (rule['by'] if rule is mapping else rule) %}
    {%- if by == 'source' %}
        {%- set places = [] %}
        {%- for known in sources %}
            {%- do places.append("when '" ~ known ~ "' then " ~ loop.index) %}
        {%- endfor %}
        {%- if not places %}
            {{ exceptions.raise_compiler_error("`" ~ name ~ "` is chosen by source: name the sources, the best one first") }}
        {%- endif %}
        {%- do keys.append('case ' ~ source ~ ' ' ~ places | join(' ') ~ ' else ' ~ (places | length + 1) ~ ' end') %}
    {%- elif by == 'newest' %}
        {%- do keys.append(updated ~ ' desc nulls last') %}
    {%- elif by == 'oldest' %}
        {%- do keys.append(updated ~ ' asc nulls last') %}
    {%- elif by == 'complete' %}
        {%- do keys.append('(case when ' ~ columns | join(' is null then 0 else 1 end + case when ')
            ~ ' is null then 0 else 1 end) desc') %}
    {%- elif by == 'longest' %}
        {%- do keys.append("length(concat(" ~ columns | join(', ') ~ ")) desc") %}
    {%- else %}
        {{ exceptions.raise_compiler_error("`" ~ name ~ "` cannot be chosen by `" ~ by
            ~ "`: there are source, newest, oldest, complete, longest") }}
    {%- endif %}
{%- endfor %}
{%- do keys.append(record) %}
{{- keys | join(', ') }}
{%- endmacro %}
