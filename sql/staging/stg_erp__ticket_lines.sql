with source as (
    select * from {{ source('erp', 'ticket_lines') }}
)

select
    num_ticket as ticket_id,
    cast(num_linea as int) as line_number,
    cast(articulo as varchar) as article_number,
    cast(cantidad as decimal(12, 3)) as quantity,
    {{ money('precio') }} as unit_price,
    {{ money('descuento') }} as discount_amount,
    {{ money('importe') }} as total_amount,
    cast(iva as decimal(5, 2)) as tax_rate
from source
