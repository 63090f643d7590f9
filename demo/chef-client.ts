/**
 * Stands in for chef-client on the Nagios host: asks the demo to write Nagios's hosts again from what is in Chef.
 * usage: node demo/chef-client.ts URL
 */
const response = await fetch(process.argv[2] ?? '', { method: 'POST' });
console.log(await response.text());
process.exit(response.ok ? 0 : 1);
