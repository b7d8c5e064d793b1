using { shop } from '../db/schema';

@requires: 'authenticated-user'
service ShopService @(path: '/odata/v4/shop') {
  entity Brands as projection on shop.Brands;
  entity Products as projection on shop.Products;
  entity Orders as projection on shop.Orders;
}
