-- Every order of the shop came out of one cart of the same value.
select orders.order_id, orders.total_amount, carts.cart_value
from {{ ref('fct_order') }} as orders
left join {{ ref('fct_cart') }} as carts on orders.order_id = carts.order_id
where orders.channel = 'shop'
    and (carts.cart_id is null or carts.cart_value + orders.shipping_amount <> orders.total_amount)
