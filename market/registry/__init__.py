"""登记 Data assets: what an organization declares it holds, and the registrar's examination of it."""
