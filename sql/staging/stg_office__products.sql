with source as (
    select * from {{ source('office', 'products') }}
)

select
    sku as product_id,
    cast(article_number as varchar) as article_number,
    ean,
    product_name,
    brand,
    category,
    sub_category as subcategory,
    sold_by_weight,
    cast(tax_rate as decimal(5, 2)) as tax_rate,
    {{ money('list_price') }} as list_price
from source
