with products as (
    select * from {{ ref('stg_office__products') }}
)

select
    product_id, article_number, ean, product_name, coalesce(brand, 'Granel') as brand,
    category, subcategory, sold_by_weight, tax_rate, list_price
from products
