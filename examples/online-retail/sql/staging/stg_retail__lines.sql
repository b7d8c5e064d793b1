with source as (
    select * from {{ source('retail', 'invoice_lines') }}
)

select
    -- The file has neither a line number nor a key, and some lines twice: where a line stands tells it from others.
    _origin as line_id,
    cast(invoice_no as varchar) as invoice_id,
    cast(stock_code as varchar) as product_id,
    description as product_name,
    cast(quantity as bigint) as quantity,
    -- Landed as a point in time where the copy writes 2010-12-01 08:26:00, as text where it writes 12/1/2010 8:26.
    arrow_cast(
        coalesce(
            try_strptime(cast(invoice_date as varchar), '%m/%d/%Y %H:%M'), try_cast(invoice_date as timestamp)
        ),
        'Timestamp(Microsecond, Some("UTC"))'
    ) as invoiced_at,
    cast(unit_price as decimal(18, 3)) as unit_price,
    cast(cast(customer_id as bigint) as varchar) as customer_id,
    country
from source
