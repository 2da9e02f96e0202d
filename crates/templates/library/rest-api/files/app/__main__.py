import sys

from app.process import main

sys.exit(main())
