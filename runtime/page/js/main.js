start().then(reportHeight);
