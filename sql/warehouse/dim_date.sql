with days as (
    select cast(
        unnest(generate_series(date '{{ var("calendar_from") }}', date '{{ var("calendar_to") }}', interval '1 day'))
        as date
    ) as date_day
)

select
    date_day,
    {{ month_of('date_day') }} as month,
    cast(date_part('year', date_day) as int) as year,
    cast(date_part('quarter', date_day) as int) as quarter,
    cast(date_part('month', date_day) as int) as month_of_year,
    cast(date_part('isodow', date_day) as int) as iso_weekday,
    date_part('isodow', date_day) >= 6 as is_weekend
from days
