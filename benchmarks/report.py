def print_tables(results, console): console.print(len(results["cells"]))
