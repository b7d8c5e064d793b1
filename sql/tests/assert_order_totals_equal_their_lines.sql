-- What a till or the shop charges is the sum of the lines and the shipping, to the cent.
select orders.order_id, orders.total_amount, orders.shipping_amount, sum(lines.total_amount) as lines_amount
from {{ ref('fct_order') }} as orders
left join {{ ref('fct_order_line') }} as lines on orders.order_id = lines.order_id
group by orders.order_id, orders.total_amount, orders.shipping_amount, orders.line_count
having orders.total_amount <> coalesce(sum(lines.total_amount), 0) + orders.shipping_amount
    or orders.line_count <> count(lines.order_line_id)
